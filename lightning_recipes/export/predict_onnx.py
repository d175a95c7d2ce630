"""Says what pictures show: python predict.py photo.jpg ... (needs onnxruntime, numpy, pillow; model.onnx beside it).

The model has everything inside but the file format: it takes the pixels of a picture, uint8, RGB, of any size.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read(path: str, least: int, channels: int) -> np.ndarray:
    """Return the pixels of a picture, upright, (height, width, channels); a large JPEG is read at a half or less."""
    with Image.open(path) as opened:
        if opened.mode[0] in "IF":
            raise ValueError("it has 16 bits or more, which are scaled in training: make 8 of them")
        opened.draft("RGB", (least, least))
        image: Image.Image = ImageOps.exif_transpose(opened)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:  # laid on white
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
        return np.asarray(image) if channels == 3 else np.asarray(image.convert("L"))[..., None]


def main(paths: list[str]) -> int:
    """Print a line a picture: the three most probable classes, or of several labels all of one half or more."""
    session = onnxruntime.InferenceSession(Path(__file__).with_name("model.onnx"), providers=["CPUExecutionProvider"])
    known = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    classes, takes, bad = known["classes"], session.get_inputs()[0], 0
    for path in paths:
        try:
            picture = read(path, known["reading_size"], known["channels"])
        except (OSError, ValueError, SyntaxError) as error:
            bad += 1
            print(f"{path}: cannot be read ({error})", file=sys.stderr)
            continue
        given = picture[None] if len(takes.shape) == 4 else picture
        found = session.run(None, {takes.name: given})[0].reshape(-1)
        if known["task"] == "multilabel":
            said = [f"{name} {p:.4f}" for name, p in zip(classes, found) if p >= 0.5]
        else:
            said = [f"{classes[best]} {found[best]:.4f}" for best in np.argsort(-found)[:3]]
            if found.max() < (known["reject_below"] or 0):
                said.insert(0, "none of these")
        print(path, *said, sep="\t")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if sys.argv[1:] else __doc__)
