"""Measures the family of students and chooses one by size and speed."""
