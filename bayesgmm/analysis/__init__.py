"""What fits mean: partitions, checks, criteria, selection, comparison."""
