"""The evaluation room: metrics and intervals."""
