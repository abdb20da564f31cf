"""What a model file says of itself: kind, precision, layout, metadata, weights. The file is not run."""
