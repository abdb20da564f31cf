"""One thin command per arrow of the chain."""
