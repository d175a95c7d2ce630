"""Searches over a recipe: many runs with values of their own, by any number of workers that share one storage."""
