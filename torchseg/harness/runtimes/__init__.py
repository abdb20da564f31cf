"""Runtimes that open and run model files, all with the same protocol."""
