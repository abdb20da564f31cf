"""Operators on windows of images: convolution, pooling, padding, resizing and sampling."""
