"""People: the command line, pictures, scikit-learn's conventions."""
