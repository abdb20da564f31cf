"""The pipeline: the stages, the run folder, and resuming a run."""
