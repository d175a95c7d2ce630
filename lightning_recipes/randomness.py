"""Randomness as a function: every draw depends on (seed, key) alone, never on what was drawn before.

Nothing has to be saved to resume exactly, and a draw more or less somewhere changes no other draw.
"""

import functools
import os
import random
import zlib

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["generator_for", "numpy_generator_for", "run_seed", "seed_for", "seed_process", "uniforms_for"]


def run_seed() -> int:
    """Return the seed of the run, as ``lightning.seed_everything`` set it, or 0 where nobody did."""
    return int(os.environ.get("PL_GLOBAL_SEED") or 0)


def _sequence(key: tuple[str | int, ...], seed: int | None) -> np.random.SeedSequence:
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    return np.random.SeedSequence([run_seed() if seed is None else seed, *words])


def seed_for(*key: str | int, seed: int | None = None) -> int:
    """Return a 32-bit seed that is a function of the key alone.

    Args:
        key: Words that say what the draw is for and non-negative integers that say which, such as
            ``("augment", epoch, index)``.
        seed: In place of the run's seed, for draws that must not change with it, such as a split.

    Example:
        >>> seed_for("augment", 0, 7, seed=1) == seed_for("augment", 0, 7, seed=1) != seed_for("augment", 1, 7, seed=1)
        True
    """
    return int(_sequence(key, seed).generate_state(1)[0])


def generator_for(*key: str | int, seed: int | None = None, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a fresh torch generator for the key; arguments as in :func:`seed_for`."""
    return torch.Generator(device).manual_seed(
        int(_sequence(key, seed).generate_state(1, np.uint64)[0] >> np.uint64(1))
    )


def numpy_generator_for(*key: str | int, seed: int | None = None) -> np.random.Generator:
    """Return a fresh NumPy generator for the key; arguments as in :func:`seed_for`."""
    return np.random.Generator(np.random.PCG64(_sequence(key, seed)))


def uniforms_for(*key: str | int, indices: NDArray[np.int64], columns: int) -> NDArray[np.float32]:
    """Return numbers in [0, 1) that are functions of the key, an index and a column, for many indices at once.

    By splitmix64, whose state is a counter (Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number
    Generators", figure 16): a generator for each image of a batch would take longer than the batch.

    Args:
        key: As of :func:`seed_for`.
        indices: (N,), non-negative.
        columns: Draws of each.

    Returns:
        (N, columns).
    """
    start = _sequence(key, None).generate_state(1, np.uint64)[0]
    counters = indices.astype(np.uint64)[:, None] * np.uint64(columns) + np.arange(1, columns + 1, dtype=np.uint64)
    z = start + counters * np.uint64(0x9E3779B97F4A7C15)  # arrays wrap around without a warning
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    shares: NDArray[np.float32] = (z >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)  # all that it holds
    return shares


def seed_process(*key: str | int) -> None:
    """Seed the global generators of torch (all devices), NumPy and Python for the key."""
    seed = seed_for(*key)
    kind = _accelerator()
    if kind in (None, "cuda"):  # torch.manual_seed asks for every kind of device that there might be, each time
        torch.default_generator.manual_seed(seed)
        if kind == "cuda":
            torch.cuda.manual_seed_all(seed)
    else:
        torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - users' own code draws from it
    random.seed(seed)


@functools.cache
def _accelerator() -> str | None:
    """Return the kind of device there is beside the CPU; to ask takes a tenth of a millisecond."""
    return torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else None  # type: ignore[union-attr]
