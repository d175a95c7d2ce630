"""A recipe written for the data, the machine and the time: measure, choose by rules, say why."""
