"""Make the package's weights of a run: ``python -m lightning_recipes.assets RUN/checkpoints/best.ckpt FILE``."""

import sys
from pathlib import Path

from lightning_recipes.models.weights import read_weights, save_weights

if __name__ == "__main__":
    checkpoint, target = sys.argv[1:]
    save_weights(Path(target), read_weights(checkpoint), half=True, source="configs/letters.yaml", license="Apache-2.0")
