"""Writes networks as Keras files, whose layers are those that the lowering to TensorFlow has found."""
