"""A list of images whose labels are wrong, as ``label_issues.csv`` of a run is one."""

import csv
from collections.abc import Mapping, Sequence

from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.preparation.images import Image

__all__ = ["read_label_list"]


def read_label_list(
    path: str, images: Sequence[Image], classes: Sequence[str], *, only_confident: bool, relabel: bool
) -> Mapping[str, str]:
    """Return the class that is suggested for each image of the list, by its path; without those of ``data.extra``.

    Args:
        path: Of the list.
        images: All of the data.
        classes: Names.
        only_confident: Take only the rows that say so.
        relabel: Whether the suggestions are taken, and so have to be classes.

    Raises:
        UserError: It cannot be read, or names an image or a class that there is not.
    """
    found = _read(path, only_confident=only_confident)
    known = {image.path for image in images}
    for name, suggested in found.items():
        if name not in known:
            raise UserError(f"label_issues: '{path}': image '{name}' is not in the data; give the list of this data")
        if relabel and suggested not in classes:
            near = did_you_mean(suggested, classes) or f"; there are {', '.join(classes[:10])}"
            raise UserError(f"label_issues: '{path}': image '{name}': '{suggested}' is no class of the data{near}")
    return found


def _read(path: str, *, only_confident: bool) -> dict[str, str]:
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
        if row.get("split") != "extra"  # which are of other data
        and (not only_confident or (row.get("confident") or "true").lower() == "true")
    }
