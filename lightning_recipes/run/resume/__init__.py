"""What becomes of a run that goes on with another recipe: which changes take effect, and which are refused."""
