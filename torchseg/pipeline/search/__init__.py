"""The hyper-parameter search, its engines and its tables."""
