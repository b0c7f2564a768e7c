"""Components joined into clusters."""
