"""Every file of the data looked at: whether it can be read, whether it can be mended, and how large the picture is."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

from lightning_recipes.data.images.decode import open_image
from lightning_recipes.data.images.formats import suffix_of
from lightning_recipes.data.sources.checks import listed, look_over
from lightning_recipes.data.sources.files import FileSource, is_picture
from lightning_recipes.data.sources.progress import Progress
from lightning_recipes.errors import UserError
from lightning_recipes.preparation.images import Mending
from lightning_recipes.preparation.repair import mend

__all__ = ["OnBadImage", "Seen", "look_at_files", "mending_of", "pixels_of"]

OnBadImage = Literal["error", "skip", "repair"]
THREADS = 8


class Seen(NamedTuple):
    """What was seen, by place; splits follow one another.

    Attributes:
        faults: Why a file cannot be read.
        mendings: How a file is mended, without the content that comes of it.
        suffixes: Of files that are not called as pictures are, which a folder would pass over.
    """

    faults: Mapping[int, str]
    mendings: Mapping[int, Mending]
    suffixes: Mapping[int, str]


def look_at_files(source: FileSource, on_bad_image: OnBadImage, progress: Progress) -> Seen:
    """Decode every file.

    Args:
        source: All files.
        on_bad_image: Whether those that cannot be read end the command, are left out or are mended where they can be.
        progress: Told what is done, how much of it, and of how much.

    Raises:
        UserError: Files cannot be read, and are to be none.
    """
    count = len(source)
    looks = look_over(source, whole=True, tell=lambda done: progress("Reading images", done, count))
    if looks.bad and on_bad_image == "error":
        named = [f"{source.paths[place]} ({fault})" for place, fault in looks.bad.items()]
        raise UserError(
            f"on_bad_image: {listed(source.tree.root, named)}; mend or remove them, or give skip, or repair"
        )
    mendings: dict[int, Mending] = {}
    if on_bad_image == "repair":
        places = [place for place in range(count) if place not in looks.large]
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(lambda place: mending_of(source, place, looks.bad.get(place, "")), places)
            for done, (place, how) in enumerate(zip(places, found, strict=True), 1):
                if how is not None:
                    mendings[place] = how._replace(content=None if how.content is None else b"")
                progress("Mending images", done, len(places))
    strange = [place for place in range(count) if place not in looks.bad and not is_picture(source.paths[place])]
    suffixes = {place: suffix for place in strange if (suffix := _suffix(source, place))}
    return Seen(looks.bad, mendings, suffixes)


def mending_of(source: FileSource, place: int, fault: str) -> Mending | None:
    """Return how a file is mended; see :func:`~lightning_recipes.preparation.repair.mend`."""
    try:
        with source.tree.open(source.paths[place]) as file:
            return mend(file.read(), source.paths[place], fault)
    except OSError:
        return None


def pixels_of(source: FileSource, place: int) -> int:
    """Return width times height, by the header; 0 where it cannot be read."""
    try:
        with source.tree.open(source.paths[place]) as file, open_image(file) as image:
            return image.width * image.height
    except MemoryError:
        raise
    except Exception:  # as in decode_image
        return 0


def _suffix(source: FileSource, place: int) -> str | None:
    with source.tree.open(source.paths[place]) as file, open_image(file) as image:
        return suffix_of(image.format or "")
