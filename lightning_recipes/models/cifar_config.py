"""What timm is told of networks for CIFAR-10."""

from typing import Any

__all__ = ["CIFAR10"]

CIFAR10: dict[str, Any] = {
    "input_size": (3, 32, 32),
    "crop_pct": 1.0,
    "interpolation": "bicubic",
    "mean": (0.4914, 0.4822, 0.4465),  # of its training images
    "std": (0.2470, 0.2435, 0.2616),
    "num_classes": 10,
    "classifier": "fc",
}
