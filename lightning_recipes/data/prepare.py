"""Data made ready: what is unreadable left out, and labels that were found wrong mended or left out."""

import csv
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from lightning_recipes.atomic_io import write_csv
from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.data.sources.folders import SPLIT_NAMES
from lightning_recipes.data.sources.open import open_parts
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["Prepared", "prepare"]


class Image(NamedTuple):
    """What becomes of one image."""

    split: str
    path: str
    was: str
    label: str | None  # None where it is dropped

    @property
    def done(self) -> str:
        """What was done with it."""
        return "dropped" if self.label is None else "kept" if self.label == self.was else "relabelled"


class Prepared(NamedTuple):
    """How many images were kept as they are, given another label, dropped, and skipped as unreadable."""

    kept: int
    relabelled: int
    dropped: int
    skipped: int


def prepare(
    data_dir: str,
    out_dir: str,
    label_issues: str | None = None,
    issues: Literal["drop", "relabel"] = "drop",
    only_confident: bool = True,
    on_bad_image: Literal["error", "skip"] = "error",
) -> Prepared:
    """Copy labelled images into class folders, without those whose labels are wrong, or with the labels mended.

    One label an image, as folders have it. Training, validation and test folders stay apart; data without them is split
    anew, by what is left. ``prepared.csv`` beside the folders says what became of each image. The folder is there whole
    or not at all; the data that it is made of is not touched.

    Args:
        data_dir: A folder or a .zip as for ``data.root``, or a .csv.
        out_dir: A new folder.
        label_issues: ``label_issues.csv`` of a run over the same data. Remove the rows that are right after all;
            ``suggested`` may be changed.
        issues: ``drop`` leaves the images out that it lists, ``relabel`` gives them the class that is suggested.
        only_confident: Take only the rows that say so in the column ``confident``.
        on_bad_image: ``error`` refuses images that cannot be decoded, ``skip`` leaves them out.

    Raises:
        UserError: The folder is there, or cannot be written; an image of the list is not in the data, its class is none
            of the data's, a class would be left without images, or its name cannot be that of a folder.
    """
    source, out = Path(data_dir).expanduser(), Path(out_dir).expanduser()
    if out.exists():
        raise UserError(f"out_dir: '{out_dir}' exists already; name a new folder")
    if source.is_dir() and source.resolve() in out.resolve().parents:
        raise UserError(
            f"out_dir: '{out_dir}' is inside of '{data_dir}', which would read it as data; name another folder"
        )
    parts, skipped = open_parts(str(source), on_bad_image)
    _refuse_names(next(iter(parts.values())).classes)
    found = {} if label_issues is None else _read_issues(label_issues, only_confident=only_confident)
    _refuse_strangers(found, parts, label_issues or "", relabel=issues == "relabel")
    images = [
        Image(split, path, was, was if path not in found else None if issues == "drop" else found[path])
        for split, part in parts.items()
        for path, was in zip(part.paths, (part.classes[label] for label in part.labels.tolist()), strict=True)
    ]
    _refuse_empty_classes(images, parts)
    _write(images, parts, out)
    done = Counter(image.done for image in images)
    return Prepared(done["kept"], done["relabelled"], done["dropped"], len(skipped))


def _read_issues(path: str, *, only_confident: bool) -> dict[str, str]:
    """Return the class that is suggested for each image of the list."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"label_issues: '{path}' cannot be read ({error}); give label_issues.csv of a run") from None
    for column in ("path", "suggested"):
        if rows and column not in rows[0]:
            raise UserError(f"label_issues: '{path}' has no column '{column}'; give label_issues.csv of a run")
    return {
        row["path"]: row["suggested"] or ""  # a row that is cut short has none
        for row in rows
        if not only_confident or (row.get("confident") or "true").lower() == "true"
    }


def _refuse_names(classes: Iterable[str]) -> None:
    """Refuse names that a CSV file can give to a class, but that are none of a folder here."""
    for name in classes:
        if name.startswith(".") or "/" in name or "\\" in name:
            raise UserError(f"data_dir: class '{name}' cannot be the name of a folder; call it otherwise")


def _refuse_strangers(found: Mapping[str, str], parts: Mapping[str, FileSource], where: str, *, relabel: bool) -> None:
    known = {path for part in parts.values() for path in part.paths}
    classes = next(iter(parts.values())).classes
    for path, suggested in found.items():
        if path not in known:
            raise UserError(f"label_issues: '{where}': image '{path}' is not in the data; give the list of this data")
        if relabel and suggested not in classes:
            near = did_you_mean(suggested, classes) or f"; there are {', '.join(classes[:10])}"
            raise UserError(f"label_issues: '{where}': image '{path}': '{suggested}' is no class of the data{near}")


def _refuse_empty_classes(images: list[Image], parts: Mapping[str, FileSource]) -> None:
    left = {(image.split, image.label) for image in images}
    for split, part in parts.items():
        for name in part.classes:
            if (split, name) not in left:
                raise UserError(
                    f"label_issues: class '{name}' would have no images left in {split}; take some off the list"
                )


def _write(images: list[Image], parts: Mapping[str, FileSource], out: Path) -> None:
    """Copy the images; under another name first, so that a folder that is there is whole."""
    apart = len(parts) > 1 or any(name.lower() in SPLIT_NAMES for name in next(iter(parts.values())).classes)
    rows, taken = [], set[Path]()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise UserError(f"out_dir: '{out}' cannot be made ({error.strerror}); name another folder") from None
    whole = aside / out.name  # not `aside` itself, which nobody else may read
    try:
        whole.mkdir()
        for image in images:
            to = None
            if image.label is not None:
                folder = Path(image.split, image.label) if apart else Path(image.label)
                to = _free(folder / Path(image.path).name, taken)
                taken.add(to)
                (whole / to).parent.mkdir(parents=True, exist_ok=True)
                with parts[image.split].tree.open(image.path) as source, (whole / to).open("wb") as target:
                    shutil.copyfileobj(source, target)
            rows.append(["" if to is None else to.as_posix(), image.path, image.was, image.label or "", image.done])
        write_csv(whole / "prepared.csv", ["path", "source", "was", "label", "done"], rows)
        whole.rename(out)
    except OSError as error:
        raise UserError(f"out_dir: '{out}' cannot be written ({error}); make room, or name another folder") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _free(path: Path, taken: set[Path]) -> Path:
    """Return the path, with a number where an image of the same name is there."""
    number, free = 0, path
    while free in taken:
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
