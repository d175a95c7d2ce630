"""Images per second that are judged, predicted and explained, against the network alone over the same images.

python benchmarks/evaluation.py
python benchmarks/evaluation.py --root ants_bees.zip --backbone mobilenetv2_100 --image_size 224
"""

import argparse
import time
from collections.abc import Callable

import lightning.pytorch as pl
import torch
from measuring import QUIET, paired, show_pair, start

from lightning_recipes import ImageClassifier, ImageDataModule
from lightning_recipes.models.heatmaps import find_target, grad_cam


def rate(work: Callable[[], int]) -> float:
    """Images a second of some work, which says how many they were."""
    begin = time.perf_counter()
    images = work()
    return images / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="sklearn:digits")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--image_size", type=int, default=64)
    parser.add_argument("--explained", type=int, default=16, help="images that are explained")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    start()
    data = ImageDataModule(options.root, image_size=options.image_size, num_workers=0, eval_batch_size=64)
    model = ImageClassifier(options.backbone, data.num_classes, pretrained=False, image_size=options.image_size).eval()
    trainer = pl.Trainer(**QUIET)
    source, batches = data.opened.splits.val, list(data.val_dataloader())
    pictures = [source.read(index) for index in range(len(source))]
    some = torch.cat([batch.images for batch in batches])[: options.explained]
    target = find_target(model, model.backbone, some)

    def forward() -> int:
        with torch.inference_mode():
            return sum(len(model(batch.images)) for batch in batches)

    def from_files() -> int:
        with torch.inference_mode():
            return sum(len(model(batch.images)) for batch in data.val_dataloader())

    def validate() -> int:
        trainer.validate(model, datamodule=data, verbose=False)
        return len(source)

    def explain() -> int:
        return len(grad_cam(model, model.backbone, some, torch.zeros(len(some), dtype=torch.long), target=target))

    print(f"{options.backbone}, {options.image_size} px, {torch.get_num_threads()} threads, {len(source)} images")
    pairs: dict[str, tuple[Callable[[], int], Callable[[], int]]] = {
        "validate, to the network over the same loader": (validate, from_files),
        "predict of arrays, to the network alone": (lambda: len(model.predict(pictures, batch_size=64)), forward),
        "GradCAM, to the network alone": (explain, forward),
    }
    for name, (ours, theirs) in pairs.items():
        found = paired(options.rounds, lambda o=ours: rate(o), lambda t=theirs: rate(t))  # type: ignore[misc]
        show_pair(name, found, "images/s")


if __name__ == "__main__":
    main()
