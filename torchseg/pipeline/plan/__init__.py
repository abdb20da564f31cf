"""The plan of a run: its stages, and how long each is expected to take."""
