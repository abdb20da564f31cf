"""The data sets that are known by name: one function of the root folder each."""
