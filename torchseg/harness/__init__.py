"""Opens any exported file and measures it."""
