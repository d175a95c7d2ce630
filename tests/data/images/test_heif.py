"""HEIC, as a phone writes it: read where Pillow's plugin is installed, and named with it where it is not."""

import io
import sys
from base64 import b64decode

import pytest

from lightning_recipes.data.images import heif
from lightning_recipes.data.images.decode import decode_image
from lightning_recipes.data.sources.faults import fault_of
from lightning_recipes.errors import UserError

# 32 x 16 pixels, the left half red (220, 30, 30), the right half blue (30, 30, 220), by libheif.
PHOTOGRAPH = b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAA"
    "AERAAAEAAQAAAAABoAABAAAAAAAAANcAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADc"
    "aXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAA"
    "AwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFw"
    "AAAAIAAAAAEAAAAQAAAAAf///+AAAAAC////0AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAA321kYXQAAADT"
    "KAGvCchnvd45I1d//9C8n/8946H8ozYrf/i9Y+/jaG//uqs/lOv9yaouwienN9XQCkz+Z3QCeNNWKEfpPqhtT8LY5Xik9917zpSNHuzlUZ+1p/Ic"
    "WeAl35qmaqyoztuvGQ/Tz1CTkEtwgpyFJYRCR/w5CkYM6fPrVRpkl5+xIgPfde86UjR7sxGKCvjl8cj67ubWNOWSzi0dPYjOkoio3oKAPkpZ+6Nx"
    "GIQ51z+0UdQd4+Eyustk+Ct+RUEy3f/PZtqzHLXxibWORyacBNXcMi+HQA=="
)


def test_it_is_read_where_the_plugin_is_installed() -> None:
    pytest.importorskip("pi_heif")
    image = decode_image(io.BytesIO(PHOTOGRAPH), "phone.heic")
    assert image.shape == (16, 32, 3)
    assert abs(image[8, 4].astype(int) - (220, 30, 30)).max() <= 3
    assert abs(image[8, 28].astype(int) - (30, 30, 220)).max() <= 3
    assert fault_of(io.BytesIO(PHOTOGRAPH)) is None
    assert fault_of(io.BytesIO(PHOTOGRAPH[:-100])) is not None


def test_without_it_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for plugin in heif.PLUGINS:
        monkeypatch.setitem(sys.modules, plugin, None)  # as if it were not there
    heif._registered.cache_clear()
    try:
        with pytest.raises(
            UserError, match=r"phone\.heic: cannot be decoded \(HEIC, which the package pi-heif reads\)"
        ):
            decode_image(io.BytesIO(PHOTOGRAPH), "phone.heic")
    finally:
        heif._registered.cache_clear()
