"""Names of timm that its documentation does not have."""

# The public ``group_parameters`` and ``group_modules`` group one kind each, and each numbers its groups by itself.
from timm.models._manipulate import group_with_matcher

__all__ = ["group_with_matcher"]
