"""A whole model as a program of PyTorch's, which other formats are made of and which is a format itself."""

import io
from pathlib import Path

import torch
from torch.export import ExportedProgram

from lightning_recipes.atomic_io import whole_file
from lightning_recipes.errors import UserError
from lightning_recipes.export.whole_model import WholeModel

__all__ = ["trace", "write_program"]

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


def write_program(program: ExportedProgram, path: Path) -> None:
    """Write a program, which ``torch.export.load(path).module()`` reads.

    Args:
        program: Of :func:`trace`.
        path: ``.pt2`` by custom.
    """
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    with whole_file(path) as part:
        part.write_bytes(buffer.getvalue())
