"""Where logged values go: a CSV file, Weights & Biases."""
