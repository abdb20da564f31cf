"""Writes the model files of a network, each with its certificate and within its accuracy budget."""
