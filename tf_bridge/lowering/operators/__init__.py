"""Operators of PyTorch in TensorFlow, one file per group."""
