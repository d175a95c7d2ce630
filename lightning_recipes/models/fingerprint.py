"""A fingerprint of a module's weights: two runs are the same to the bit if and only if theirs are."""

import hashlib

import torch
from torch import nn

__all__ = ["weights_sha256"]


def weights_sha256(module: nn.Module) -> str:
    """Return the SHA-256, in hexadecimal, over every tensor of the state dict in name order: its name, then its bytes.

    Bytes are those of the contiguous tensor on the CPU, in the machine's byte order.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
