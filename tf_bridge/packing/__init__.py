"""Packs the weights of ONNX files: stores them as indices into a codebook."""
