"""Masks: files, encodings of classes, and rules for classes."""
