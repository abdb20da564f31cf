"""ONNX files whose weights are stored as indices into a codebook."""
