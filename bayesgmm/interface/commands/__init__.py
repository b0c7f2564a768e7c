"""The commands, one topic a module; each loads what it needs when it is run."""
