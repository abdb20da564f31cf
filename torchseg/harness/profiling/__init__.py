"""Layer profilers: where the time of one prediction goes, for each runtime."""
