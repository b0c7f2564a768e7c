"""What a mixture is: its specification, data, parameters, statistics and density."""
