"""What ``inspect.json`` says of copies and look-alikes, looked up among the images of the data."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lightning_recipes.errors import UserError
from lightning_recipes.preparation.images import Image, writable

__all__ = ["Found", "Tie", "read_inspection"]

SAME = {"same": "recompressed or resized"}
"""In words, of the kinds of near duplicates; other kinds are words already."""


class Tie(NamedTuple):
    """Two images of one picture.

    Attributes:
        places: In the list of images.
        kind: How one was made of the other, such as ``exact`` or ``mirrored``.
    """

    places: tuple[int, int]
    kind: str


class Found(NamedTuple):
    """What an inspection found.

    Attributes:
        copies: Pairs of the same picture; of three alike there are two or more.
        alike: Pairs, as places, that are nearly the same to a network.
    """

    copies: Sequence[Tie] = ()
    alike: Sequence[tuple[int, int]] = ()


def read_inspection(given: str, source: Path, images: Sequence[Image]) -> Found:
    """Return what was found, of images by their places.

    Args:
        given: The folder of an inspection, or its ``inspect.json``.
        source: The data, whose inspection it has to be.
        images: All of the data.

    Raises:
        UserError: It cannot be read, is of other data, or the data have changed since.
    """
    report = _read(given)
    if report["data"] != str(source.resolve()):
        raise UserError(
            f"inspection: '{given}' is of '{report['data']}', and the data are '{source.resolve()}'; inspect these"
        )
    places = _places(images)
    pairs = [(one["paths"], SAME.get(one["kind"], one["kind"])) for one in report["near_duplicates"]]
    groups = [one["paths"] for one in report["exact_duplicates"]]
    alike = [one["paths"] for one in report["look_alikes"]]
    named = [one["path"] for one in report["corrupt"]]
    for path in (path for paths in (named, *groups, *(pair for pair, _ in pairs), *alike) for path in paths):
        if path not in places:
            raise UserError(
                f"inspection: '{given}' names '{path}', which is not in the data; they have changed: inspect them again"
            )
        if len(places[path]) > 1:
            raise UserError(f"inspection: two files are called '{path}' but for bytes that are no text; rename one")
    if report["images"] != len(images):
        raise UserError(
            f"inspection: '{given}' is of {report['images']} images, the data have {len(images)}; inspect them again"
        )
    copies = [Tie((places[paths[0]][0], places[path][0]), "exact") for paths in groups for path in paths[1:]]
    copies += [Tie((places[a][0], places[b][0]), kind) for (a, b), kind in pairs]
    return Found(copies, [(places[a][0], places[b][0]) for a, b in alike])


def _places(images: Sequence[Image]) -> dict[str, list[int]]:
    """Places by the path as a report has it."""
    found: dict[str, list[int]] = {}
    for place, image in enumerate(images):
        found.setdefault(writable(image.path), []).append(place)
    return found


def _read(given: str) -> Mapping[str, Any]:
    path = Path(given).expanduser()
    path = path / "inspect.json" if path.is_dir() else path
    keys = ("data", "images", "corrupt", "exact_duplicates", "near_duplicates", "look_alikes")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in keys if key not in report]
    except OSError as error:
        raise UserError(
            f"inspection: '{path}' cannot be read ({error.strerror}); give the folder that inspect wrote"
        ) from None
    except (ValueError, TypeError) as error:
        raise UserError(f"inspection: '{path}' is no inspect.json ({error}); inspect the data again") from None
    if not isinstance(report, dict) or missing:
        what = f"has no '{missing[0]}'" if missing else "is no inspect.json"
        raise UserError(f"inspection: '{path}' {what}; inspect the data again")
    return report
