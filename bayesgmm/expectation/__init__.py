"""The one pass over the rows, and the statistics that come of it."""
