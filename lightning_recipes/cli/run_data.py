"""The data of a recipe or of a run, made again."""

import copy
from typing import Any

import lightning.pytorch as pl
from jsonargparse import ArgumentParser, Namespace

from lightning_recipes.comparison.predictions import Split
from lightning_recipes.components import import_object
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.run.reader import RunContents

__all__ = ["make_data", "open_images", "without_extra"]


def make_data(section: Any) -> pl.LightningDataModule:
    """Return the data module that a recipe names.

    Args:
        section: The recipe's ``data``.
    """
    made: pl.LightningDataModule = _parser().instantiate_classes(Namespace(data=section)).data  # type: ignore[no-untyped-call]
    return made


def without_extra(section: Any) -> Any:
    """Return a recipe's ``data`` without the pictures that are trained on alone, which may be gone by now.

    Args:
        section: With a class of ours, or of any other.
    """
    arguments = section.get("init_args") or {}
    if not arguments.get("extra") or not _is_ours(str(section["class_path"])):
        return section
    changed = copy.deepcopy(section)
    changed["init_args"]["extra"] = None
    return changed


def _is_ours(class_path: str) -> bool:
    kind = import_object("data.class_path", class_path)
    return isinstance(kind, type) and issubclass(kind, ImageDataModule)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(pl.LightningDataModule, "data", fail_untyped=False)
    return parser


def open_images(run: RunContents, split: Split) -> ImageSource | None:
    """Return the images that a run was judged on; None where its data is not there any more, or is not ours."""
    try:
        data = make_data(without_extra(_parser().parse_object({"data": run.recipe["data"]}).data))
        if not isinstance(data, ImageDataModule):
            return None
        return data.opened.splits.val if split == "val" else data.opened.splits.test
    except Exception:  # whatever its data module or its folder say now: pictures are left out, numbers stay
        return None
