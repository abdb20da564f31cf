"""Export to ONNX files."""
