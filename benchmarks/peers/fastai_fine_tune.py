"""fastai's ``fine_tune`` on a folder of images, in an environment of its own; prints one line of JSON.

uv venv fastai && uv pip install --python fastai/bin/python fastai timm safetensors "setuptools<81"
fastai/bin/python benchmarks/peers/fastai_fine_tune.py ants_bees --weights mobilenetv2_100.safetensors --seed 0
"""

import argparse
import json
import time

START = time.perf_counter()  # imports are part of what a user waits for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="with train/ and val/")
    parser.add_argument("--weights", required=True, help="of timm's mobilenetv2_100, normalised by 0.5")
    parser.add_argument("--epochs", type=int, default=3, help="after one epoch of the head alone")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--no_flip", action="store_true", help="where left and right matter")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import timm
    from fastai.vision.all import (
        ImageDataLoaders,
        Learner,
        Normalize,
        Resize,
        accuracy,
        aug_transforms,
        create_head,
        default_split,
        nn,
        set_seed,
    )

    set_seed(options.seed, reproducible=True)
    augmentation = aug_transforms(size=options.size, do_flip=not options.no_flip)
    data = ImageDataLoaders.from_folder(
        options.folder, train="train", valid="val", bs=32, seed=options.seed, num_workers=0,
        item_tfms=Resize(round(options.size * 8 / 7)),
        batch_tfms=[*augmentation, Normalize.from_stats([0.5] * 3, [0.5] * 3)],
    )  # fmt: skip
    overlay = {"file": options.weights, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    body = timm.create_model(
        "mobilenetv2_100",
        pretrained=True,
        num_classes=0,
        global_pool="",
        pad_type="same",
        pretrained_cfg_overlay=overlay,
    )
    model = nn.Sequential(body, create_head(body.num_features, data.c))
    learner = Learner(data, model, splitter=default_split, metrics=accuracy)
    learner.freeze()
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(options.epochs)
        loss, correct = learner.validate()
    print(json.dumps({"accuracy": correct, "loss": float(loss), "seconds": round(time.perf_counter() - START, 1)}))


if __name__ == "__main__":
    main()
