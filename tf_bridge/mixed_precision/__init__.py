"""Files of which some layers are in int8 and others in float."""
