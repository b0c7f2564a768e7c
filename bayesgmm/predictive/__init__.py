"""The distribution of the next row, and what is asked of it."""
