"""How compiled code is made, called, and spread over threads."""
