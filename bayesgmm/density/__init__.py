"""The log posterior over unconstrained coordinates, and its gradient."""
