"""A TensorFlow model in, an ONNX file out."""
