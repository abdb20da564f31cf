"""Reads properties of a model file without running it: kind, precision, layout, metadata, weights."""
