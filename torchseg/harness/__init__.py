"""Opens any exported model file and measures it."""
