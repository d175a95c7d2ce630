"""fastai's images for ``image_path.py``, in an environment of its own: an epoch of batches for each line it is given.

Its usual way: each picture is opened by Pillow and cropped to the size, and batches are mirrored and normalised.

uv venv fastai && uv pip install --python fastai/bin/python fastai timm safetensors "setuptools<81"
python benchmarks/image_path.py ants_bees.zip --fastai fastai/bin/python
"""

import argparse
import sys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="with a folder for each class")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--scale", type=float, default=0.35, help="least share of a picture")
    options = parser.parse_args()
    import torch
    from fastai.vision.all import Flip, ImageDataLoaders, Normalize, RandomResizedCrop, imagenet_stats

    torch.set_num_threads(1)
    data = ImageDataLoaders.from_folder(
        options.folder, valid_pct=0.01, bs=options.batch_size, num_workers=0,
        item_tfms=RandomResizedCrop(options.size, min_scale=options.scale),
        batch_tfms=[Flip(), Normalize.from_stats(*imagenet_stats)],
    )  # fmt: skip
    for _ in sys.stdin:
        print(sum(len(images) for images, _ in data.train), flush=True)


if __name__ == "__main__":
    main()
