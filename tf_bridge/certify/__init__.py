"""Checks that a model file computes the same as its PyTorch network, and finds the first divergent layer if not."""
