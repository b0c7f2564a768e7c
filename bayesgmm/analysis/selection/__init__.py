"""Many models fitted, and what the data say of each."""
