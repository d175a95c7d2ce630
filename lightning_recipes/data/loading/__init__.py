"""Which images come when: data sets, samplers, loaders."""
