"""The marginal likelihood, by several methods."""
