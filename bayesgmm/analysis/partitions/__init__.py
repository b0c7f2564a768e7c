"""Which rows belong together, and how sure that is."""
