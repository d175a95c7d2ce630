"""A whole model as a program of PyTorch's, which other formats are made of and which is a format itself."""

import io
import warnings

import torch
from torch.export import ExportedProgram

from lightning_recipes.errors import UserError
from lightning_recipes.export.whole_model import WholeModel

__all__ = ["read_back", "saved", "trace"]

EXAMPLE = (2, 70, 90)  # number, height and width of pictures; no two alike, and none like another length


def trace(model: WholeModel, channels: int = 3) -> ExportedProgram:
    """Return the program of a model, for any number of pictures of any one size.

    Args:
        model: In eval mode, on the CPU.
        channels: Of a picture.

    Raises:
        UserError: The network does something that cannot be traced, such as branching on what it computes.
    """
    model = model.eval().requires_grad_(False)
    pictures = torch.randint(0, 256, (*EXAMPLE, channels), dtype=torch.uint8)
    free = torch.export.Dim.DYNAMIC
    try:
        with torch.no_grad():
            return torch.export.export(model, (pictures,), dynamic_shapes=({0: free, 1: free, 2: free},), strict=False)
    except Exception as error:  # whatever a network raises when it is given symbols for numbers
        network = type(model.networks[0]).__name__
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"to: {network} cannot be traced ({type(error).__name__}: {reason})") from error


def saved(program: ExportedProgram) -> bytes:
    """Return the bytes of a program's file, ``.pt2`` by custom."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No complete tensor found in the group")  # of weights channels last
        torch.export.save(program, buffer)
    return buffer.getvalue()


def read_back(data: bytes) -> ExportedProgram:
    """Return the program of a file, from its bytes."""
    return torch.export.load(io.BytesIO(data))
