"""The plan of a run: which epochs train what, at which rate."""
