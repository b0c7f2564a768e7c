"""What people touch: the command line, plots, scikit-learn estimators."""
