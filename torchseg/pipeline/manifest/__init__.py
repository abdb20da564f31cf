"""What a run wrote and read: the manifest, the check against it, and its signature."""
