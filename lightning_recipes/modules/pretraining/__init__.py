"""Learning without labels: one method a file, and the module that trains a backbone by it."""
