"""The commands, one module per script."""
