"""Wrong values of the arguments, refused before the data are opened."""

import os
from pathlib import Path

from lightning_recipes.data.sources.splits import refuse_draw
from lightning_recipes.errors import UserError

__all__ = ["refuse_bad_arguments", "refuse_bad_folders"]


def refuse_bad_folders(source: Path, out: Path) -> None:
    """Refuse a folder that is there, or that would be read as data.

    Raises:
        UserError: Names the folder.
    """
    if os.path.lexists(out):
        raise UserError(f"out_dir: '{out}' exists already; name a new folder")
    if source.is_dir() and source.resolve() in out.resolve().parents:
        raise UserError(f"out_dir: '{out}' is inside of '{source}', which would read it as data; name another folder")


def refuse_bad_arguments(
    inspection: str | None,
    duplicates: str,
    conflicts: str,
    split: str,
    val_fraction: float | None,
    test_fraction: float,
    split_seed: int,
) -> None:
    """Refuse values that are none, and those of arguments that would be of no effect.

    Raises:
        UserError: Names the argument.
    """
    for name, value in (("duplicates", duplicates), ("conflicts", conflicts)):
        if value != "drop" and inspection is None:
            raise UserError(f"{name}: of use with an inspection alone; give inspection too, or leave it out")
    try:
        refuse_draw(0.2 if val_fraction is None else val_fraction, split_seed)
    except UserError as error:
        raise UserError(str(error).removeprefix("data.")) from None
    if not 0 <= test_fraction < 1:
        raise UserError(f"test_fraction: {test_fraction} is not a share from 0 to less than 1; give one such as 0.1")
    val = val_fraction if val_fraction is not None else 0.2 if split == "new" else 0.0
    if not val + test_fraction < 1:
        raise UserError(f"val_fraction: {val} and test_fraction {test_fraction} leave nothing for training; give less")
