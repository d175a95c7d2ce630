"""Weights that come with the package: ``letters.safetensors``, made by ``configs/letters.yaml``."""
