"""Groups of processes, and signals that stop them."""
