"""Whether the data look like data from the fit."""
