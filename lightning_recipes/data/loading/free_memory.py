"""How much room there is for images."""

from pathlib import Path

import torch

__all__ = ["MOST", "free_memory", "in_words"]

MEMORY = Path("/proc/meminfo")  # of Linux; its free memory, without what it gives up on demand, says too little
MOST = 0.8
"""Share of the free memory that images may take; the rest is the network's and the batches'."""


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that are free; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu" or not MEMORY.exists():
        return None
    known = dict(line.split(":", 1) for line in MEMORY.read_text().splitlines())
    return 1024 * int(known["MemAvailable"].split()[0])


def in_words(size: float) -> str:
    """Return bytes as a person writes them.

    Example:
        >>> in_words(30_720), in_words(153_600_000), in_words(2.5e9)
        ('31 kB', '154 MB', '2.5 GB')
    """
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
