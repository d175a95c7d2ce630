"""Recipes for image classifiers: freeze-then-unfreeze transfer learning with timm on PyTorch Lightning.

Public names are those of ``__init__.pyi``; each is imported when it is first used: importing Lightning takes seconds,
and ``--help`` needs none of it.
"""

import lazy_loader

from lightning_recipes._version import __version__

__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = [*_names, "__version__"]
