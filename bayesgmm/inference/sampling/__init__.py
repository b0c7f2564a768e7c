"""Draws from the posterior: modes, Laplace, NUTS, jumps, tempering."""
