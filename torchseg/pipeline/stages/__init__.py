"""The stages of the pipeline: each reads one folder and writes one folder."""
