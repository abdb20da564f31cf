"""Scores of model files: accuracy, latency, memory, and the tables of them."""
