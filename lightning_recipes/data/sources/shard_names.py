r"""Names of pictures in tar files, such that WebDataset tells samples apart, and the names that they stand for.

WebDataset takes for one sample what has one key: the path up to the first dot of its base name. So dots of the name
itself are written ``%2E`` and its percent signs ``%25``, as in a URL; of pictures that differ by their kind alone, as
``0.jpg`` and ``0.png``, the second has its kind in the key: ``0%-png.png``.
"""

import os
from collections.abc import Container

__all__ = ["member_of", "name_of"]

KIND = "%-"


def member_of(name: str, taken: Container[str]) -> tuple[str, str]:
    """Return the key and the name in a tar file of a picture.

    Args:
        name: Path of the picture.
        taken: Keys of the pictures before it.

    Example:
        >>> member_of("train/ants/a.b.jpg", ())
        ('train/ants/a%2Eb', 'train/ants/a%2Eb.jpg')
        >>> member_of("ants/0.png", {"ants/0"})
        ('ants/0%-png', 'ants/0%-png.png')
    """
    folder, slash, base = name.rpartition("/")
    stem, suffix = os.path.splitext(base)
    key = folder + slash + stem.replace("%", "%25").replace(".", "%2E")
    if key in taken:
        key += KIND + suffix[1:]
    return key, key + suffix


def name_of(member: str) -> str:
    """Return the name of a picture by its name in a tar file; one that is not written so stands for itself.

    Example:
        >>> name_of("train/ants/a%2Eb.jpg"), name_of("ants/0%-png.png"), name_of("ants/100%.jpg")
        ('train/ants/a.b.jpg', 'ants/0.png', 'ants/100%.jpg')
    """
    folder, slash, base = member.rpartition("/")
    stem, suffix = os.path.splitext(base)
    plain = stem.removesuffix(KIND + suffix[1:])
    name = folder + slash + plain.replace("%2E", ".").replace("%25", "%") + suffix
    key, written = member_of(name, ())
    return name if member in (written, f"{key}{KIND}{suffix[1:]}{suffix}") else member
