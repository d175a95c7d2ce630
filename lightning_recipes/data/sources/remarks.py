"""What is said once of pictures that can be read, but that their owner may want to know of."""

from collections import Counter
from collections.abc import Mapping, Sequence

from lightning_recipes.data.images.decode import open_image
from lightning_recipes.data.images.depth import BITS, bits_in
from lightning_recipes.data.sources.files import FileSource

__all__ = ["warn", "warn_of_deep", "warn_of_large"]

SAMPLE = 16
"""Deep pictures that are decoded to see of how many bits they are."""

Place = tuple[FileSource, int]


def warn(text: str) -> None:
    """Warn, in the first process alone."""
    from lightning.pytorch.utilities import rank_zero_warn

    rank_zero_warn(text)


def warn_of_large(large: Mapping[Place, tuple[int, int]], key: str = "data.root") -> None:
    """Warn of pictures that take long to read.

    Args:
        large: Their width and height in pixels.
        key: Of the recipe, that names them.
    """
    if not large:
        return
    (source, index), (width, height) = max(large.items(), key=lambda item: item[1][0] * item[1][1])
    many = "1 picture is" if len(large) == 1 else f"{len(large)} pictures are"
    warn(
        f"{key}: {many} very large, such as '{source.paths[index]}' of {width} x {height} pixels: each is decoded "
        "anew in every epoch, which takes seconds; store smaller copies"
    )


def warn_of_deep(deep: Sequence[Place], key: str = "data.root") -> None:
    """Warn of pictures of 16 bits a channel whose values are of fewer, by looking at some.

    Args:
        deep: All that have more than 8 bits a channel.
        key: Of the recipe, that names them.
    """
    looked = deep[:: max(1, -(-len(deep) // SAMPLE))]
    taken = [(place, bits) for place in looked if (bits := _bits(place)) != BITS[-1]]
    if not taken:
        return
    counts = Counter(bits for _, bits in taken)
    held = " and ".join(
        f"{count} hold {'a range of their own' if bits is None else f'values of {bits} bits'}"
        for bits, count in sorted(counts.items(), key=lambda item: -item[1])
    )
    (source, index), _ = taken[0]
    one = len(deep) == 1
    warn(
        f"{key}: {'1 picture has' if one else f'{len(deep)} pictures have'} more than 8 bits a channel; of "
        f"{len(looked)} looked at, {held}, such as '{source.paths[index]}': each is scaled by the fewest of "
        f"{', '.join(map(str, BITS[:-1]))} and {BITS[-1]} bits that hold it; store 8 bits where brightness has to "
        "compare between pictures"
    )


def _bits(place: Place) -> int | None:
    source, index = place
    try:
        with source.tree.open(source.paths[index]) as file, open_image(file) as image:
            return bits_in(image, file)
    except MemoryError:
        raise
    except Exception:  # said when it is read, and of which file
        return BITS[-1]
