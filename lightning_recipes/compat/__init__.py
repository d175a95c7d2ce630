"""What is used of other libraries beside their public interface: one file a library, and why there is no public way.

Nothing else in this package uses a private name of another library; ``tests/compat`` says which name a new release has
moved.
"""
