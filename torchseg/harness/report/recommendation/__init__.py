"""The file to take, and what the scores say."""
