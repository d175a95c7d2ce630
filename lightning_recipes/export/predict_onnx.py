"""Says what pictures show: python predict.py photo.jpg ... (needs onnxruntime, numpy, pillow; model.onnx beside it).

The model has everything inside but the file format: it takes the pixels of a picture, uint8, RGB, of any size.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read(path: str, least: int) -> np.ndarray:
    """Return the pixels of a picture, upright, (height, width, 3); a large JPEG is read at a half or less."""
    with Image.open(path) as opened:
        opened.draft("RGB", (least, least))
        image: Image.Image = ImageOps.exif_transpose(opened)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:  # laid on white
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))


def main(paths: list[str]) -> None:
    """Print a line a picture: the three most probable classes, or all of one half or more of several."""
    session = onnxruntime.InferenceSession(Path(__file__).with_name("model.onnx"), providers=["CPUExecutionProvider"])
    known = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    classes, takes = known["classes"], session.get_inputs()[0]
    for path in paths:
        picture = read(path, known["reading_size"])
        given = picture[None] if len(takes.shape) == 4 else picture
        found = session.run(None, {takes.name: given})[0].reshape(-1)
        if known["task"] == "multilabel":
            said = [f"{name} {p:.4f}" for name, p in zip(classes, found) if p >= 0.5]
        else:
            said = [f"{classes[best]} {found[best]:.4f}" for best in np.argsort(-found)[:3]]
        print(path, *said, sep="\t")


if __name__ == "__main__":
    main(sys.argv[1:])
