"""What a fitted mixture is for: its predictive distribution, generated, conditioned, cut."""
