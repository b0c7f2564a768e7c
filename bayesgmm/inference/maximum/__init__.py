"""Maximum likelihood and the posterior's mode: starts, EM, the search."""
