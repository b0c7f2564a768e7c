"""What the model is: components, covariance structure, priors."""
