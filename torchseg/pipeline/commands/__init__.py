"""What each command does, one module per script."""
