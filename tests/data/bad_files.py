"""Files as they turn up among photographs: damaged, mistaken for pictures, or pictures of an unusual kind."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, features

from tests.inspection.scenes import scene

WIDTH, HEIGHT = 64, 320
"""Of the planted pictures: twenty rows of a JPEG's blocks, so that a twentieth less is one of them."""


class Kind(NamedTuple):
    """One kind of file.

    Attributes:
        name: Of the file.
        make: Writes it to a path.
        inspected: What ``inspect`` says: ``corrupt``, a ``kind`` of ``suspicious``, or nothing where it is right.
        skipped: What ``prepare --on_bad_image skip`` does: ``dropped``, ``copied`` or, of what is no file of the data,
            ``passed over``.
        mended: What ``--on_bad_image repair`` does: likewise, or ``repaired``.
    """

    name: str
    make: Callable[[Path], object]
    inspected: str
    skipped: str
    mended: str


def picture(seed: int = 900, mode: str = "RGB") -> Image.Image:
    return scene(seed, WIDTH, HEIGHT).convert(mode)


def stored(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or picture()).save(buffer, kind, **options)
    return buffer.getvalue()


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def flipped(jpeg: bytes) -> bytes:
    """Bytes of the scan turned over, so that a marker that there is not comes up in its middle."""
    data = bytearray(jpeg)
    start = jpeg.index(b"\xff\xda")
    middle = start + (len(jpeg) - start) // 2
    data[middle : middle + 2] = b"\xff\xc3"
    for place in range(middle + 40, middle + 400, 7):
        data[place] ^= 0xFF
    return bytes(data)


def without_tables(jpeg: bytes) -> bytes:
    """Huffman tables overwritten: its head and its end are as they should be, and nothing between can be decoded."""
    data = bytearray(jpeg)
    start = jpeg.index(b"\xff\xc4") + 4
    data[start : start + 40] = b"\xfe" * 40
    return bytes(data)


def header_alone(jpeg: bytes) -> bytes:
    return jpeg[: jpeg.index(b"\xff\xda") + 14] + b"\xff\xd9"


def chunk(kind: bytes, body: bytes, *, crc: int | None = None) -> bytes:
    found = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", found)


def png(width: int, height: int, body: bytes, **options: Any) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body, **options) + chunk(b"IEND", b"")


def rows(height: int) -> bytes:
    """What a PNG of 8 x ``height`` pixels holds: grey ones."""
    return zlib.compress(b"".join(b"\0" + b"\x80" * 24 for _ in range(height)))


def bad_offset() -> bytes:
    """A TIFF whose pixels are said to lie behind its end."""
    data = bytearray(stored("TIFF"))
    (directory,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[directory : directory + 2])
    for place in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, _, many = struct.unpack("<HHI", data[place : place + 8])
        if tag == 273:  # StripOffsets
            where = place + 8 if many == 1 else struct.unpack("<I", data[place + 8 : place + 12])[0]
            data[where : where + 4] = struct.pack("<I", 50_000_000)
    return bytes(data)


def animated(kind: str) -> bytes:
    return stored(kind, save_all=True, append_images=[picture(901), picture(902)])


def turned() -> bytes:
    image = picture()
    image.getexif()[0x0112] = 6
    return stored("JPEG", image, exif=image.getexif())


def deep() -> bytes:
    grey = np.asarray(picture(mode="L")).astype(np.uint16) * 257
    return stored("PNG", Image.fromarray(grey))


def palette() -> bytes:
    image = picture().quantize(64)
    return stored("PNG", image, transparency=bytes([0] + [255] * 63))


def xbm() -> bytes:
    return stored("XBM", picture(mode="1"))


def icon() -> bytes:
    return stored("ICO", picture().crop((0, 0, 48, 48)))


def film() -> bytes:
    """The head of an MP4 film."""
    return struct.pack(">I", 24) + b"ftypisom" + b"\0\0\2\0isomiso2" + struct.pack(">I", 4096) + b"mdat" + bytes(4088)


def heic() -> bytes:
    """The head of an iPhone's photograph, which Pillow reads by a plugin of its own."""
    return struct.pack(">I", 24) + b"ftypheic" + b"\0\0\0\0mif1heic" + struct.pack(">I", 512) + b"meta" + bytes(504)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("0.jpg", stored("JPEG"))
    return buffer.getvalue()


def secret(path: Path) -> None:
    path.write_bytes(stored("JPEG"))
    path.chmod(0)


def _bytes(make: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(make())


def _kind(name: str, make: Callable[[], bytes], inspected: str, skipped: str, mended: str | None = None) -> Kind:
    return Kind(name, _bytes(make), inspected, skipped, mended or skipped)


def _bad(name: str, make: Callable[[], bytes]) -> Kind:
    return _kind(name, make, "corrupt", "dropped")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 12345\n"
KINDS = {
    # No picture at all.
    "empty": _bad("empty.jpg", lambda: b""),
    "zeros": _bad("zeros.jpg", lambda: bytes(4096)),
    "random bytes": _bad("random.jpg", lambda: np.random.default_rng(0).bytes(5000)),
    "text": _bad("text.jpg", lambda: b"no picture, but a note of what was here\n"),
    "HTML page": _bad("page.png", lambda: b"<!DOCTYPE html><html><body>404 Not Found</body></html>"),
    "Git LFS pointer": _bad("pointer.jpg", lambda: POINTER),
    "zip": _bad("zip.jpg", zipped),
    "PDF": _bad("pdf.jpg", lambda: stored("PDF")),
    "MP4 film": _bad("film.jpg", film),
    "SVG": _bad("drawing.png", lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'),
    "SVG by its name": _bad("drawing.svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"></svg>'),
    "HEIC": _bad("phone.heic", heic),
    # Cut short.
    "JPEG cut at 10 %": _bad("tenth.jpg", lambda: cut(stored("JPEG"), 0.1)),
    "JPEG cut at 50 %": _bad("half.jpg", lambda: cut(stored("JPEG"), 0.5)),
    "JPEG cut at 97 %": _kind("most.jpg", lambda: cut(stored("JPEG"), 0.97), "corrupt", "dropped", "repaired"),
    "JPEG without its end marker": _kind("endless.jpg", lambda: stored("JPEG")[:-2], "corrupt", "dropped", "repaired"),
    "progressive JPEG cut at 97 %": _bad(
        "progressive.jpg", lambda: cut(stored("JPEG", progressive=True), 0.97)
    ),
    "CMYK JPEG cut at 97 %": _kind(
        "inks_most.jpg", lambda: cut(stored("JPEG", picture(mode="CMYK")), 0.97), "corrupt", "dropped", "repaired"
    ),
    "PNG cut at 50 %": _bad("half.png", lambda: cut(stored("PNG"), 0.5)),
    "PNG cut at 97 %": _kind("most.png", lambda: cut(stored("PNG"), 0.97), "corrupt", "dropped", "repaired"),
    "GIF cut": _bad("half.gif", lambda: cut(stored("GIF"), 0.5)),
    "BMP cut": _bad("half.bmp", lambda: cut(stored("BMP"), 0.5)),
    "BMP cut at 97 %": _kind("most.bmp", lambda: cut(stored("BMP"), 0.97), "corrupt", "dropped", "repaired"),
    "WebP cut": _bad("half.webp", lambda: cut(stored("WEBP"), 0.5)),
    "TIFF cut": _bad("half.tif", lambda: cut(stored("TIFF", compression="tiff_lzw"), 0.5)),
    # Its head and its end are right.
    "JPEG's header alone": _kind("header.jpg", lambda: header_alone(stored("JPEG")), "unfinished", "copied"),
    "JPEG cut, and ended": _kind("ended.jpg", lambda: cut(stored("JPEG"), 0.5) + b"\xff\xd9", "unfinished", "copied"),
    "JPEG with bytes flipped": _bad("flipped.jpg", lambda: flipped(stored("JPEG"))),
    "JPEG without its tables": _bad("tables.jpg", lambda: without_tables(stored("JPEG"))),
    "PNG with a bad CRC": _kind("crc.png", lambda: png(8, 8, rows(8), crc=1), "damaged", "copied"),
    "PNG with bad zlib data": _bad("zlib.png", lambda: png(8, 8, rows(8)[:2] + b"\xff" * 20)),
    "PNG of too few rows": _kind("rows.png", lambda: png(8, 16, rows(3)), "unfinished", "copied"),
    "PNG of a declared huge size": _bad("bomb.png", lambda: png(60_000, 60_000, rows(8))),
    "PNG that is a line": _bad("line.png", lambda: stored("PNG", Image.new("1", (30_000, 2)))),
    "PNG without width": _bad("narrow.png", lambda: png(0, 8, rows(8))),
    "TIFF with a bad offset": _bad("offset.tif", bad_offset),
    # No file to read.
    "broken link": Kind("gone.jpg", lambda path: path.symlink_to("nowhere.jpg"), "corrupt", "dropped", "dropped"),
    "link to itself": Kind("loop.jpg", lambda path: path.symlink_to(path.name), "corrupt", "dropped", "dropped"),
    "folder": Kind("folder.jpg", lambda path: path.mkdir(), "", "passed over", "passed over"),
    "resource fork of macOS": _kind("._fork.jpg", lambda: b"\0\5\x16\7\0\2\0\0Mac OS X", "", "passed over"),
    "thumbnails of Windows": _kind("Thumbs.db", lambda: b"\xd0\xcf\x11\xe0", "", "passed over"),
    # Read as they should be.
    "PNG called .jpg": _kind("really_png.jpg", lambda: stored("PNG"), "wrong extension", "copied", "repaired"),
    "GIF of several frames": _kind("film.gif", lambda: animated("GIF"), "animated", "copied", "repaired"),
    "WebP of several frames": _kind("film.webp", lambda: animated("WEBP"), "animated", "copied", "repaired"),
    "TIFF of several pages": _kind("pages.tif", lambda: animated("TIFF"), "several pages", "copied", "repaired"),
    "JPEG in four inks": _kind("inks.jpg", lambda: stored("JPEG", picture(mode="CMYK")), "CMYK", "copied"),
    "PNG of 16 bits": _kind("deep.png", deep, "deep, 16 bits", "copied"),
    "PNG of 1 bit": _kind("bits.png", lambda: stored("PNG", picture(mode="1")), "", "copied"),
    "palette with alpha": _kind("palette.png", palette, "palette with transparency", "copied"),
    "rotated by EXIF": _kind("turned.jpg", turned, "rotated by EXIF", "copied"),
    "JPEG with a film behind it": _kind("live.jpg", lambda: stored("JPEG") + film() * 9, "", "copied"),
    "XBM called .png": _kind("bitmap.png", xbm, "wrong extension", "copied"),
    "ICO called .png": _kind("icon.png", icon, "wrong extension", "copied"),
    "name with spaces": _kind("a b  c.jpg", lambda: stored("JPEG", picture(903)), "", "copied"),
    "name with a newline": _kind("two\nlines.jpg", lambda: stored("JPEG", picture(904)), "", "copied"),
    "name with quotes and commas": _kind("a,\"b\",'c'.jpg", lambda: stored("JPEG", picture(905)), "", "copied"),
    "name with an emoji": _kind("\N{HONEYBEE}.jpg", lambda: stored("JPEG", picture(906)), "", "copied"),
    "name that is no UTF-8": _kind(os.fsdecode(b"caf\xe9.jpg"), lambda: stored("JPEG", picture(907)), "", "copied"),
}  # fmt: skip
if features.check("avif"):
    KINDS["AVIF cut"] = _bad("half.avif", lambda: cut(stored("AVIF"), 0.5))
if not hasattr(os, "geteuid") or os.geteuid():
    KINDS["without permission"] = Kind("secret.jpg", secret, "corrupt", "dropped", "dropped")


def plant(folder: Path) -> None:
    """Write a file of every kind into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS.values():
        kind.make(folder / kind.name)
