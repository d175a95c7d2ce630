"""``prepare``: data made ready for training, with the plan shown before anything is written."""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from lightning_recipes.atomic_io import WriteError, whole_folder, write_csv
from lightning_recipes.data.sources.byte_ranges import is_url
from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.data.sources.groups import groups_of
from lightning_recipes.data.sources.one_label import read_one_label
from lightning_recipes.data.sources.progress import Progress, tell_nobody
from lightning_recipes.data.sources.write_shards import SHARD_BYTES
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.preparation.arguments import refuse_bad_arguments, refuse_bad_folders
from lightning_recipes.preparation.images import Decision, Image
from lightning_recipes.preparation.inspection_file import Found, read_inspection
from lightning_recipes.preparation.label_list import read_label_list
from lightning_recipes.preparation.layout import (
    in_order,
    manifest_table,
    needs_split_folders,
    paths_of,
    prepared_table,
    refuse_class_names,
    said_of_names,
)
from lightning_recipes.preparation.look import OnBadImage, Seen, look_at_files, mending_of, pixels_of
from lightning_recipes.preparation.plan import Known, Plan, decide, refuse_empty_classes
from lightning_recipes.preparation.split import Shares, draw_splits, name_units, said_of_torn, torn_units
from lightning_recipes.preparation.write import Entry, write_folder, write_into_shards

__all__ = ["Prepared", "prepare"]

VAL_FRACTION = 0.2
STEP = 64  # images between two reports of progress


class Prepared(NamedTuple):
    """How many images were kept as they are, given another label, dropped, dropped as unreadable, and repaired."""

    kept: int
    relabelled: int
    dropped: int
    skipped: int
    repaired: int = 0


def _unseen(plan: Plan) -> None:
    """Show nobody."""


def prepare(
    data_dir: str,
    out_dir: str,
    label_issues: str | None = None,
    issues: Literal["drop", "relabel"] = "drop",
    only_confident: bool = True,
    on_bad_image: OnBadImage = "error",
    inspection: str | None = None,
    duplicates: Literal["drop", "keep"] = "drop",
    conflicts: Literal["drop", "keep"] = "drop",
    split: Literal["keep", "new"] = "keep",
    val_fraction: float | None = None,
    test_fraction: float = 0.0,
    split_seed: int = 0,
    group: str | None = None,
    shards: bool = False,
    shard_bytes: int = SHARD_BYTES,
    dry_run: bool = False,
    show: Callable[[Plan], None] = _unseen,
    progress: Progress = tell_nobody,
) -> Prepared:
    """Copy labelled images into class folders, without what is wrong with them, and split them if that is asked for.

    One label an image. The plan is shown first. Beside the images, ``prepared.csv`` says what became of each image of
    the data and why; ``manifest.csv`` names those that are there, with split and group where there are any, and can be
    ``data.root`` as the folder itself can. The same data and arguments give the same bytes. The folder is there whole
    or not at all; the data that it is made of is not touched, and images that are right are copied to the byte.

    Args:
        data_dir: A folder, a .zip, shards or a .csv as for ``data.root``.
        out_dir: A new folder.
        label_issues: ``label_issues.csv`` of a run over the same data. Remove the rows that are right after all;
            ``suggested`` may be changed.
        issues: ``drop`` leaves the images out that it lists, ``relabel`` gives them the class that is suggested.
        only_confident: Take only the rows that say so in the column ``confident``.
        on_bad_image: ``error`` refuses files that cannot be decoded, ``skip`` leaves them out. ``repair`` mends what
            can be mended without inventing anything and leaves out the rest: a JPEG, PNG or BMP that was cut short
            becomes a PNG of its rows that are there, where these are nine tenths or more; of several frames or pages
            the first becomes a PNG; a file that is called otherwise than it is gets the right suffix.
        inspection: What ``inspect`` wrote of this data: its folder, or ``inspect.json``. Names copies and look-alikes;
            without it none are looked for.
        duplicates: ``drop`` keeps one image of each picture and label, also where one is a mirrored or cropped copy:
            the one in test, else in val, else in train, so that what is judged stays; of several there the largest,
            then the first by name. With ``split: new`` the largest, then the first.
        conflicts: ``drop`` takes out all copies of a picture that has several labels, as none can be trusted.
        split: ``keep`` leaves training, validation and test images apart as they are; ``new`` draws them anew. Images
            of one group, of one picture, or that look alike to the inspection's backbone come to one side.
        val_fraction: Share of the images for validation, in (0, 1), of each class alike (default: 0.2 with
            ``split: new``; with ``keep`` none is drawn). With ``keep``, of data that bring no validation images.
        test_fraction: Likewise for test; 0: none is drawn.
        split_seed: Of the draw.
        group: What belongs together, as ``data.group``: a column of the .csv, or a regular expression on the paths.
        shards: Write tar files with an index beside them, for sets that outgrow a folder, in the place of files.
        shard_bytes: Of a tar file, at most, > 0.
        dry_run: Show the plan and write nothing.
        show: Told the plan, before anything is written.
        progress: Told what is done, how much of it, and of how much.

    Raises:
        UserError: The folder is there, or cannot be written; an image of a list is not in the data, its class is none
            of the data's, a class would be left without images or cannot be split, or its name cannot be that of a
            folder; the inspection is of other data.
    """
    source, out = Path(data_dir).expanduser(), Path(out_dir).expanduser()
    remote = is_url(data_dir)
    refuse_bad_folders(source, out)
    refuse_bad_arguments(inspection, duplicates, conflicts, split, val_fraction, test_fraction, split_seed)
    refuse_bad_values("prepare", ("shard_bytes", shard_bytes, shard_bytes > 0, "a number of bytes > 0"))
    parts = read_one_label(data_dir if remote else str(source), command="prepare", key="data_dir", group=group)
    images, whole = _listed(parts, group)
    classes = list(whole.classes)
    refuse_class_names(classes)
    relabel = issues == "relabel"
    suggested = (
        {}
        if label_issues is None
        else read_label_list(label_issues, images, classes, only_confident=only_confident, relabel=relabel)
    )
    found = (
        Found()
        if inspection is None
        else read_inspection(inspection, data_dir if remote else str(source.resolve()), images)
    )
    shares = _shares(parts, split, val_fraction, test_fraction, split_seed)
    seen = look_at_files(whole, on_bad_image, progress)
    known = Known(
        images, seen.faults, seen.mendings, suggested, issues, found.copies, lambda place: pixels_of(whole, place)
    )
    decisions = decide(known, duplicates=duplicates, conflicts=conflicts, judged_first=split == "keep")
    if len(parts) == 1:
        decisions = [one._replace(split="") for one in decisions]
    refuse_empty_classes(decisions, classes, apart=split == "keep")
    decisions = name_units(decisions, [*(tie.places for tie in found.copies), *found.alike])
    if shares is not None:
        pool = [
            place
            for place, one in enumerate(decisions)
            if one.done != "dropped" and (split == "new" or one.image.split == "train")
        ]
        decisions = draw_splits(decisions, pool, whole.tree, classes, shares)
    plan = _plan(decisions, seen, classes, list(parts) if len(parts) > 1 else [], out)
    show(plan)
    if not dry_run:
        _write(plan, whole, seen, out, progress, shard_bytes if shards else None)
    return _counted(decisions)


def _listed(parts: Mapping[str, FileSource], group: str | None) -> tuple[list[Image], FileSource]:
    """Return all images, split by split, and one source of them."""
    images = []
    for split, part in parts.items():
        try:
            groups = [""] * len(part) if group is None else groups_of(part, group)
        except UserError as error:
            raise UserError(str(error).replace("data.group:", "group:")) from None
        names = (part.classes[label] for label in part.labels.tolist())
        images += [Image(path, split, name, own.strip()) for path, name, own in zip(part.paths, names, groups)]
    first = next(iter(parts.values()))
    labels = np.concatenate([np.asarray(part.labels, np.int64) for part in parts.values()])
    return images, FileSource(first.tree, [image.path for image in images], labels, first.classes)


def _shares(
    parts: Mapping[str, FileSource], split: str, val_fraction: float | None, test_fraction: float, seed: int
) -> Shares | None:
    """Return what is drawn; None where the splits stay as they are."""
    if split == "new":
        return Shares(VAL_FRACTION if val_fraction is None else val_fraction, test_fraction, seed)
    for name, given in (("val", val_fraction is not None), ("test", test_fraction > 0)):
        if given and name in parts:
            raise UserError(f"{name}_fraction: the data bring {name} images; give split new to draw all anew")
    if test_fraction > 0 and val_fraction is None and "val" not in parts:
        raise UserError("test_fraction: without validation images test would serve as such; give val_fraction too")
    return None if val_fraction is None and not test_fraction else Shares(val_fraction, test_fraction, seed)


def _plan(decisions: Sequence[Decision], seen: Seen, classes: Sequence[str], splits: Sequence[str], out: Path) -> Plan:
    named = [one._replace(suffix=one.suffix or seen.suffixes.get(place, "")) for place, one in enumerate(decisions)]
    order = in_order(named)
    listed = [named[place] for place in order]
    torn = torn_units(listed)
    paths = paths_of(listed, with_splits=needs_split_folders(listed, classes))
    notes = [*([said_of_torn(torn)] if torn else []), *said_of_names(classes, paths)]
    return Plan(listed, paths, order, classes, splits, notes, out)


def _write(plan: Plan, whole: FileSource, seen: Seen, out: Path, progress: Progress, shard_bytes: int | None) -> None:
    """Write images and tables; under another name first, so that a folder that is there is whole."""
    entries = _entries(plan, whole, seen, progress)
    try:
        with whole_folder(out) as folder:
            if shard_bytes is None:
                write_folder(entries, folder)
            else:
                write_into_shards(entries, folder, classes=plan.classes, shard_bytes=shard_bytes)
            for name, table in (("prepared.csv", prepared_table), ("manifest.csv", manifest_table)):
                write_csv(folder / name, *table(plan.decisions, plan.paths))
    except OSError as error:
        why = error.strerror or str(error)
        if isinstance(error, WriteError) or out.parent.is_dir():
            raise UserError(f"out_dir: '{out}' cannot be written ({why}); make room, or name another folder") from None
        raise UserError(f"out_dir: '{out}' cannot be made ({why}); name another folder") from None


def _entries(plan: Plan, whole: FileSource, seen: Seen, progress: Progress) -> Iterator[Entry]:
    label = {name: number for number, name in enumerate(plan.classes)}
    rows = zip(plan.places, plan.paths, plan.decisions, strict=True)
    kept = [(place, path, label[one.label]) for place, path, one in rows if path]
    for done, (place, path, number) in enumerate(kept, 1):
        yield Entry(path, number, lambda place=place: _opened(whole, place, seen))  # type: ignore[misc]
        if done % STEP == 0 or done == len(kept):
            progress("Copying images", done, len(kept))


def _opened(whole: FileSource, place: int, seen: Seen) -> BinaryIO:
    name = whole.paths[place]
    how = seen.mendings.get(place)
    if how is not None and how.content is not None:
        how = mending_of(whole, place, seen.faults.get(place, ""))
        if how is None or how.content is None:
            raise UserError(f"{name}: has changed while it was looked at; begin again")
        return io.BytesIO(how.content)
    try:
        return whole.tree.open(name)
    except OSError as error:
        raise UserError(f"{name}: cannot be read any more ({error.strerror or error}); begin again") from None


def _counted(decisions: Sequence[Decision]) -> Prepared:
    done = Counter(one.done for one in decisions)
    unreadable = sum(one.cause == "unreadable" for one in decisions)
    return Prepared(done["kept"], done["relabelled"], done["dropped"] - unreadable, unreadable, done["repaired"])
