"""A network that makes images: a generator, its adversary, and what they train by."""
