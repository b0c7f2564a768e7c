"""Algorithms: from a spec and data to a fit."""
