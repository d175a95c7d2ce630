"""The optimisation room: parameter groups, optimizers, losses."""
