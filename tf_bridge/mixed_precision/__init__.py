"""Mixed precision: model files with some layers in int8 and others in float."""
