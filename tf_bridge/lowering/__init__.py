"""Translates the operators of a traced PyTorch network to TensorFlow."""
