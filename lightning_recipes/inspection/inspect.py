"""``inspect``: what is in a set of images, looked at file by file, and what follows from it."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lightning_recipes.atomic_io import write_json
from lightning_recipes.data.sources.byte_ranges import is_url
from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.data.sources.one_label import read_one_label
from lightning_recipes.data.sources.progress import Progress, tell_nobody
from lightning_recipes.engine.peak_memory import peak_memory
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import MIN_IMAGE_SIZE
from lightning_recipes.inspection.align import LEAST
from lightning_recipes.inspection.beside import EXTRA, with_extra_part
from lightning_recipes.inspection.chunks import Chunks
from lightning_recipes.inspection.duplicates import Duplicates, find_duplicates
from lightning_recipes.inspection.images import ImageSet, gather, reader
from lightning_recipes.inspection.measure import RECORD
from lightning_recipes.inspection.names import find_name_groups
from lightning_recipes.inspection.page import write_page
from lightning_recipes.inspection.report import make_report
from lightning_recipes.inspection.sheets import draw_sheets
from lightning_recipes.inspection.shortcuts import find_shortcuts
from lightning_recipes.inspection.workers import KIND, cores, measure_all

__all__ = ["Inspection", "inspect"]

CACHE = ".cache"
OWNER = "data.json"


class Inspection(NamedTuple):
    """What was found, and where it lies.

    Attributes:
        folder: With ``inspect.json``, ``inspect.html`` and ``figures``.
        report: What ``inspect.json`` holds.
        reused: Files that were known from before.
    """

    folder: Path
    report: dict[str, Any]
    reused: int


def inspect(
    data: str,
    out: str | None = None,
    backbone: str | None = None,
    pretrained: bool | str = True,
    image_size: int | None = None,
    embedded_images: int = 5000,
    extra: str | None = None,
    workers: int | None = None,
    progress: Progress = tell_nobody,
) -> Inspection:
    """Say what is in a set of images: bad files, duplicates, leaks between splits, wrong labels, shortcuts, groups.

    Looks at every file, of every split, and changes none. Writes ``inspect.json``, ``inspect.html`` and contact sheets
    in ``figures``. What was measured is kept in ``.cache``: a run that was stopped goes on, and the next one looks at
    new and changed files alone.

    Args:
        data: A folder, a .zip, shards or a .csv as for ``data.root``; one label an image.
        out: Folder to write (default: ``inspect/`` and the name of the data).
        backbone: Name of a timm model to look for outliers, wrong labels and close classes with (default: none, and
            these are left out).
        pretrained: Its weights, as ``model.pretrained``: true, or a file.
        image_size: What the backbone sees, in pixels (default: its own).
        embedded_images: Images at most that the backbone looks at, drawn of each class alike.
        extra: Pictures that are to be trained on beside the data, as for ``data.extra``: which of them are in the data
            too (default: none).
        workers: Processes that read images (default: one a core); the result does not depend on it.
        progress: Told what is done, how much of it, and of how much.

    Raises:
        UserError: The data cannot be opened, ``out`` holds the inspection of other data or lies inside of these, or
            the backbone cannot be had.
    """
    began = time.monotonic()
    _refuse(backbone, pretrained, image_size, embedded_images, workers)
    source = Path(data).expanduser()
    where = data if is_url(data) else str(source.resolve())
    folder = _own_folder(source, where, out)
    given = read_one_label(data if is_url(data) else str(source), command="inspect", key="data")
    parts = with_extra_part(given, extra, "extra")
    processes = workers or cores()
    embedder = None
    if backbone is not None:  # before the files are read, which takes long, so that a mistake is found at once
        from lightning_recipes.inspection.embeddings import Embedder

        embedder = Embedder.of(backbone, pretrained, image_size, folder / CACHE, processes)
    _claim(folder, where)
    tree, names, labels, split = gather(parts)
    measured = measure_all(tree, names, Chunks(folder / CACHE, KIND, RECORD), workers=processes, progress=progress)
    classes = [name.encode("utf-8", "replace").decode() for name in next(iter(parts.values())).classes]
    images = ImageSet(names, labels, split, classes, list(parts), measured.records, measured.notes)
    read = reader(parts, max(LEAST))
    duplicates = find_duplicates(images, read, lambda done, of: progress("Comparing images", done, of))
    copies = _copies(duplicates, len(images))
    progress("Looking for shortcuts", 0, 1)
    real = images.without(EXTRA)
    shortcuts, groups = find_shortcuts(real, [place for place in copies if place < len(real)]), find_name_groups(real)
    progress("Looking for shortcuts", 1, 1)
    seen = _seen(embedder, backbone, tree, images, copies, embedded_images, progress)
    report = make_report(where, images, duplicates, shortcuts, groups, seen)
    _write(folder, report, images, parts, began, processes if measured.reused < len(images) else 1)
    return Inspection(folder, report, measured.reused)


def _refuse(
    backbone: str | None, pretrained: bool | str, image_size: int | None, embedded_images: int, workers: int | None
) -> None:
    for name, given in (("pretrained", isinstance(pretrained, str)), ("image_size", image_size is not None)):
        if given and backbone is None:
            raise UserError(f"{name}: is of a backbone, and none is given; give --backbone too, such as resnet18")
    for name, value, least in (
        ("image_size", image_size, MIN_IMAGE_SIZE), ("embedded_images", embedded_images, 1), ("workers", workers, 1)
    ):  # fmt: skip
        if value is not None and not value >= least:
            raise UserError(f"{name}: {value} is not a whole number >= {least}")


def _own_folder(source: Path, where: str, out: str | None) -> Path:
    """Return the folder to write, which is this data's or new."""
    folder = Path("inspect", source.resolve().stem) if out is None else Path(out).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"out: '{folder}' is a file; name a folder")
    inside = folder.resolve()
    if source.is_dir() and (source.resolve() == inside or source.resolve() in inside.parents):
        raise UserError(f"out: '{folder}' is inside of the data, which would read it; give --out another folder")
    owner = _owner(folder)
    if owner not in (None, where):
        raise UserError(f"out: '{folder}' holds the inspection of '{owner}'; name another folder")
    return folder


def _owner(folder: Path) -> str | None:
    """What data a folder is of; None where it is of none."""
    for file in (folder / CACHE / OWNER, folder / "inspect.json"):
        try:
            return str(json.loads(file.read_text(encoding="utf-8"))["data"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _claim(folder: Path, where: str) -> None:
    """Say whose a folder is, before anything is in it."""
    try:
        write_json(folder / CACHE / OWNER, {"data": where})
    except OSError as error:
        raise UserError(f"out: '{folder}' cannot be written ({error.strerror}); name another folder") from None


def _copies(duplicates: Duplicates, count: int) -> list[int]:
    """All but the first of each group of images of the same."""
    return sorted(place for group in duplicates.clusters(count) for place in group[1:])


def _seen(
    embedder: Any, backbone: str | None, tree: Any, images: ImageSet, copies: list[int], most: int, progress: Progress
) -> dict[str, Any]:
    from lightning_recipes.inspection.seen import NOTHING, look_with

    if embedder is None:
        return {"backbone": None, **NOTHING}
    return {"backbone": backbone, **look_with(embedder, tree, images, copies, most, progress)}


def _write(
    folder: Path, report: dict[str, Any], images: ImageSet, parts: Mapping[str, FileSource], began: float, workers: int
) -> None:
    draw_sheets(folder, report, images, parts)
    write_page(folder, report)
    report |= {"seconds": round(time.monotonic() - began, 2), "peak_memory_bytes": peak_memory(workers)}
    write_json(folder / "inspect.json", report)
