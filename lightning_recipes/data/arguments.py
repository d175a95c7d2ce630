"""Wrong values of the data's keys, refused before anything is opened."""

import math
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from lightning_recipes.data.sources.extra import parse_extra
from lightning_recipes.data.sources.splits import refuse_draw
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.input_config import MIN_IMAGE_SIZE

__all__ = ["MULTILABEL", "refuse_bad_arguments"]

MULTILABEL = "multilabel"  # the task whose labels are read otherwise


def refuse_bad_arguments(given: Mapping[str, Any]) -> None:
    """Raise a ``UserError`` that names the key, where a value is none that it can have.

    Args:
        given: The arguments of an ``ImageDataModule`` by name.
    """
    batch_size = given["batch_size"]
    for key, value, least in (
        ("image_size", given["image_size"], MIN_IMAGE_SIZE),
        ("batch_size", None if batch_size == "all" else batch_size, 1),
        ("eval_batch_size", given["eval_batch_size"], 1),
        ("num_workers", given["num_workers"], 0),
        ("channels", given["channels"], 1),
    ):
        right = value is None or (isinstance(value, Integral) and not isinstance(value, bool) and value >= least)  # type: ignore[operator]
        refuse_bad_values("data", (key, value, right, f"a whole number >= {least}"))
    drawn = (given[key] for key in ("val_fraction", "split_seed", "images_per_class", "folds", "fold"))
    refuse_draw(*drawn)
    parse_extra(given["extra"])
    count = given["channels"]
    many = "three numbers, red, green and blue" if count == 3 else f"{count} numbers, one for each of data.channels"
    for key in ("mean", "std"):
        values = given[key]
        right = values is None or (len(values) == count and all(map(math.isfinite, values)))
        refuse_bad_values("data", (key, values, right, f"a list of {many}"))
    std, positive = given["std"], f"a list of {many.split(',')[0]} > 0; images are divided by them"
    refuse_bad_values("data", ("std", std, std is None or min(std) > 0, positive))
    known = (None, "decoded", "device")
    refuse_bad_values("data", ("cache", given["cache"], given["cache"] in known, "decoded, device, or left out"))
    tasks = ("multiclass", MULTILABEL)
    refuse_bad_values("data", ("task", given["task"], given["task"] in tasks, f"one of {', '.join(tasks)}"))
    if given["task"] == MULTILABEL and given["balance"]:
        raise UserError("data.balance: images have several labels each; leave it out, or weigh classes by the loss")
