"""Heat maps a second in batches against one image at a time, as a ratio in one run.

python benchmarks/gradcam.py
python benchmarks/gradcam.py --backbone vit_tiny_patch16_224 --images 64
"""

import argparse
import time

import torch
from measuring import start
from torch import nn

from lightning_recipes import ImageClassifier
from lightning_recipes.models.heatmaps import find_target, grad_cam


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    start()
    torch.manual_seed(0)
    model = ImageClassifier(options.backbone, 10, pretrained=False).eval()
    nn.init.normal_(model.head.weight)
    images = torch.randn(options.images, 3, options.image_size, options.image_size)
    classes = torch.arange(options.images) % 10
    target = find_target(model, model.backbone, images)

    def seconds(batch_size: int) -> float:
        begin = time.perf_counter()
        for first in range(0, options.images, batch_size):
            chosen = slice(first, first + batch_size)
            grad_cam(model, model.backbone, images[chosen], classes[chosen], target=target)
        return time.perf_counter() - begin

    seconds(options.images), seconds(1)  # warm up
    pairs = [(seconds(options.images), seconds(1)) for _ in range(options.rounds)]
    ratios = sorted(single / together for together, single in pairs)
    together, single = (sorted(column)[len(pairs) // 2] for column in zip(*pairs, strict=True))
    print(
        f"{options.backbone}, layer {target.layer}, {options.image_size} px, {torch.get_num_threads()} threads: "
        f"{options.images / together:.1f} maps/s in batches of {options.images}, {options.images / single:.1f} singly; "
        f"ratio {ratios[len(ratios) // 2]:.2f} [{ratios[0]:.2f}..{ratios[-1]:.2f}] of {len(ratios)} pairs"
    )


if __name__ == "__main__":
    main()
