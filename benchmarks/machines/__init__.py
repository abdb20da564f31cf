"""Runs the miniature main job as other machines would: other processors, versions of Python, limits and locales."""
