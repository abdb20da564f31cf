"""Keras `.keras` files."""
