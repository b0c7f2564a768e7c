"""From a spec and data to a fit: starts, EM and MAP, NUTS, the PyMC model."""
