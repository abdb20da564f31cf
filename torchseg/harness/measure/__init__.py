"""What is counted and measured of one model file."""
