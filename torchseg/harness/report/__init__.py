"""The report of a run: one page, its tables, charts and advice."""
