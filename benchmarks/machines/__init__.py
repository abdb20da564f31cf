"""Runs a miniature of the main job on emulated machines: other CPUs, Python versions, limits and locales."""
