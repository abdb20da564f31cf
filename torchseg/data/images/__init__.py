"""Image files: decoding, bit depth, bands, orientation."""
