"""What ``inspect.json`` says of copies and look-alikes, looked up among the images of the data."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lightning_recipes.errors import UserError
from lightning_recipes.preparation.images import Image, writable

__all__ = ["EXACT", "Found", "Tie", "read_inspection"]

EXACT = "exact"
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


def read_inspection(given: str, where: str, images: Sequence[Image]) -> Found:
    """Return what was found, of images by their places.

    Args:
        given: The folder of an inspection, or its ``inspect.json``.
        where: The data, as an inspection of them has them.
        images: All of the data.

    Raises:
        UserError: It cannot be read, is of other data, or the data have changed since.
    """
    report = _read(given)
    if report["data"] != where:
        raise UserError(f"inspection: '{given}' is of '{report['data']}', and the data are '{where}'; inspect these")
    places = _places(images)
    for path in _paths(report):
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
    place = {path: found[0] for path, found in places.items()}
    copies = [
        Tie((place[one["paths"][0]], place[path]), EXACT)
        for one in report["exact_duplicates"]
        for path in one["paths"][1:]
    ]
    copies += [Tie(_two(one, place), SAME.get(one["kind"], one["kind"])) for one in report["near_duplicates"]]
    return Found(copies, [_two(one, place) for one in report["look_alikes"]])


def _paths(report: Mapping[str, Any]) -> list[str]:
    """All paths that are of use here."""
    together = (*report["exact_duplicates"], *report["near_duplicates"], *report["look_alikes"])
    return [one["path"] for one in report["corrupt"]] + [path for one in together for path in one["paths"]]


def _two(one: Mapping[str, Any], place: Mapping[str, int]) -> tuple[int, int]:
    first, second = one["paths"]
    return place[first], place[second]


def _places(images: Sequence[Image]) -> dict[str, list[int]]:
    """Places by the path as a report has it."""
    found: dict[str, list[int]] = {}
    for place, image in enumerate(images):
        found.setdefault(writable(image.path), []).append(place)
    return found


def _read(given: str) -> Mapping[str, Any]:
    path = Path(given).expanduser()
    path = path / "inspect.json" if path.is_dir() else path
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        said = [report["data"], report["images"], _paths(report), [one["kind"] for one in report["near_duplicates"]]]
        pairs = (*report["near_duplicates"], *report["look_alikes"])
        whole = all(len(one["paths"]) == 2 for one in pairs) and all(isinstance(one, str) for one in said[2])
    except OSError as error:
        raise UserError(
            f"inspection: '{path}' cannot be read ({error.strerror}); give the folder that inspect wrote"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise UserError(f"inspection: '{path}' is no whole inspect.json; inspect the data again")
    return report
