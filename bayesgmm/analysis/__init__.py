"""What fits mean: comparison, agreement, selection."""
