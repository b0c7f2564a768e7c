"""Which component is which."""
