"""The data of a recipe or of a run, made again."""

from typing import Any

import lightning.pytorch as pl
from jsonargparse import ArgumentParser, Namespace

from lightning_recipes.comparison.predictions import Split
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.run.reader import RunContents

__all__ = ["make_data", "open_images"]


def make_data(section: Any) -> pl.LightningDataModule:
    """Return the data module that a recipe names.

    Args:
        section: The recipe's ``data``.
    """
    made: pl.LightningDataModule = _parser().instantiate_classes(Namespace(data=section)).data  # type: ignore[no-untyped-call]
    return made


def _parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(pl.LightningDataModule, "data", fail_untyped=False)
    return parser


def open_images(run: RunContents, split: Split) -> ImageSource | None:
    """Return the images that a run was judged on; None where its data is not there any more, or is not ours."""
    try:
        data = make_data(_parser().parse_object({"data": run.recipe["data"]}).data)
        if not isinstance(data, ImageDataModule):
            return None
        return data.opened.splits.val if split == "val" else data.opened.splits.test
    except Exception:  # whatever its data module or its folder say now: pictures are left out, numbers stay
        return None
