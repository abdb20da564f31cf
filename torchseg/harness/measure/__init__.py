"""Counts and measures properties of one model file: size, weights, multiply-adds, pixels."""
