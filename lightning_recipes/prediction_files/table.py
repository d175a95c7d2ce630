"""Predictions as a table in a file: CSV, JSON, JSON lines or Parquet, row after row."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lightning_recipes.atomic_io import whole_file, write_csv
from lightning_recipes.errors import UserError
from lightning_recipes.evaluation.columns import class_columns
from lightning_recipes.evaluation.prediction import Prediction

__all__ = ["FORMATS", "refuse_no_parquet", "write_table"]

Row = tuple[str, Prediction]
"""Path of a picture, and what is said of it."""

AT_ONCE = 4096  # rows of a group in a Parquet file
DIGITS = 6


def refuse_no_parquet() -> None:
    """Refuse to write what needs a package that is not here.

    Raises:
        UserError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise UserError("format: parquet needs pyarrow; pip install 'lightning-recipes[parquet]', or give csv or jsonl")


def write_table(path: Path, rows: Iterable[Row], classes: Sequence[str], *, top_k: int | None = None) -> None:
    """Write one row a picture; the file is there whole or not at all.

    CSV and Parquet have the columns ``path``, ``predicted``, and one for each class with its probability; with
    ``top_k``, ``class_1``, ``probability_1`` and so on, the most probable first. JSON and JSON lines have an object a
    picture: ``path``, ``predicted``, ``probability`` and ``probabilities``, which are as many.

    Args:
        path: One whose suffix is among :data:`FORMATS`.
        rows: Gone over once.
        classes: Names, in the order of probabilities.
        top_k: Classes that are named (default: all).
    """
    FORMATS[path.suffix[1:]](path, rows, classes, top_k)


def _csv(path: Path, rows: Iterable[Row], classes: Sequence[str], top_k: int | None) -> None:
    def cells() -> Iterator[list[str]]:
        for name, found in rows:
            values = _values(found, classes, top_k)
            yield [name, found.label, *(value if isinstance(value, str) else f"{value:.6f}" for value in values)]

    write_csv(path, _columns(classes, top_k), cells())


def _json_lines(path: Path, rows: Iterable[Row], classes: Sequence[str], top_k: int | None) -> None:
    with whole_file(path) as part, part.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(_as_object(row, classes, top_k) + "\n")


def _json(path: Path, rows: Iterable[Row], classes: Sequence[str], top_k: int | None) -> None:
    with whole_file(path) as part, part.open("w", encoding="utf-8") as file:
        between = "[\n"
        for row in rows:
            file.write(between + _as_object(row, classes, top_k))
            between = ",\n"
        file.write("\n]\n")


def _parquet(path: Path, rows: Iterable[Row], classes: Sequence[str], top_k: int | None) -> None:
    import pyarrow
    from pyarrow import parquet

    columns, rows = _columns(classes, top_k), iter(rows)
    kinds = [pyarrow.string()] * 2
    kinds += [pyarrow.float32()] * len(classes) if top_k is None else [pyarrow.string(), pyarrow.float32()] * top_k
    schema = pyarrow.schema(list(zip(columns, kinds, strict=True)))
    with whole_file(path) as part, parquet.ParquetWriter(part, schema) as writer:
        while some := [
            [_text(name), found.label or None, *_values(found, classes, top_k)] for name, found in islice(rows, AT_ONCE)
        ]:
            arrays = [pyarrow.array(values, kind) for values, kind in zip(zip(*some), kinds, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


FORMATS: dict[str, Callable[[Path, Iterable[Row], Sequence[str], int | None], None]] = {
    "csv": _csv,
    "json": _json,
    "jsonl": _json_lines,
    "parquet": _parquet,
}


def _columns(classes: Sequence[str], top_k: int | None) -> list[str]:
    if top_k is None:
        return class_columns(["path", "predicted"], classes)
    places = range(1, top_k + 1)
    return ["path", "predicted", *(f"{what}_{place}" for place in places for what in ("class", "probability"))]


def _values(found: Prediction, classes: Sequence[str], top_k: int | None) -> list[Any]:
    """Probabilities in the order of the classes, or names and probabilities of some, the most probable first."""
    if top_k is None:
        return list(found.probabilities.tolist())
    return [part for name, probability in _most(found, classes, top_k) for part in (name, probability)]


def _most(found: Prediction, classes: Sequence[str], top_k: int) -> list[tuple[str, float]]:
    order = np.argsort(-found.probabilities, kind="stable")[:top_k]
    return [(classes[place], float(found.probabilities[place])) for place in order]


def _as_object(row: Row, classes: Sequence[str], top_k: int | None) -> str:
    name, found = row
    most = zip(classes, found.probabilities.tolist()) if top_k is None else _most(found, classes, top_k)
    probabilities = {one: _number(probability) for one, probability in most}
    said = {"path": _text(name), "predicted": found.label or None, "probability": _number(found.probability)}
    return json.dumps({**said, "probabilities": probabilities}, ensure_ascii=False, allow_nan=False)


def _number(probability: float) -> float | None:
    """JSON has no nan."""
    return round(probability, DIGITS) if math.isfinite(probability) else None


def _text(name: str) -> str:
    """Return a file's name, whose bytes may be no text, with these escaped."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
