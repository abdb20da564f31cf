"""The operators of a PyTorch program in TensorFlow."""
