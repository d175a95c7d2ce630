"""Schedules: pure functions from progress to a factor on every group's learning rate.

A schedule keeps no state, so a resumed run is on the curve to the bit, and it multiplies, so discriminative learning
rates stay in proportion.
"""
