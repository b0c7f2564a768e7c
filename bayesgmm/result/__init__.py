"""The one result of every method, its tree, its text, its file."""
