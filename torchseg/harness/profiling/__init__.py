"""Where the time of one prediction goes, layer by layer, in each runtime."""
