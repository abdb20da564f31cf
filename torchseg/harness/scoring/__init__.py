"""Scores model files: accuracy, latency and memory, and the tables of the results."""
