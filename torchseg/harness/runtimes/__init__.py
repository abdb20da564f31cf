"""The runtimes that open a model file, behind one protocol."""
