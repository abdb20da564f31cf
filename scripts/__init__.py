"""Thin command-line scripts, one per command."""
