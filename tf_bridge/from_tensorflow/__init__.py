"""Imports TensorFlow models: converts them to ONNX files."""
