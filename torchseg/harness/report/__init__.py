"""The report of a run: one HTML page with tables, charts and advice."""
