"""The chain: stages, the run folder, resuming."""
