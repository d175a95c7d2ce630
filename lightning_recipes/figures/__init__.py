"""Figures: numbers in, a matplotlib figure out."""
