"""Proves that a file computes what its network computes, and finds where it does not."""
