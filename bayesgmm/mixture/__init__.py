"""Mixtures as densities."""
