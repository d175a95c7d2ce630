"""A small part of a large set of images."""

import zipfile
from collections import defaultdict
from pathlib import Path


def unpack_subset(archive: str, folder: Path, *, train: int, val: int) -> None:
    """Write so many images a class of a zip with train/ and test/ as train/ and val/: every k-th by name."""
    with zipfile.ZipFile(archive) as opened:
        names: dict[str, list[str]] = defaultdict(list)
        for name in sorted(n for n in opened.namelist() if not n.endswith("/")):
            names[str(Path(*Path(name).parts[-3:-1]))].append(name)
        for place, images in names.items():
            split, label = Path(place).parts
            most = train if split == "train" else val
            for name in images[:: len(images) // most][:most]:
                path = folder / ("train" if split == "train" else "val") / label / Path(name).name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(opened.read(name))
