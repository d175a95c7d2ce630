"""Images per second and core from files to normalised batches, ours and others'.

Each pipeline reads the same files, takes a random resized crop of scale (0.35, 1) and mirrors half of them, and
normalises; ours as a recipe does it, by the data module's loader with the policy `light` (so with CutOut, too). In
every round each takes its turn, in an order that moves on; ratios are within a round, and each is against ours.

    python benchmarks/image_path.py ants_bees.zip
    python benchmarks/image_path.py clothing.zip --image_size 160 --augment medium
    python benchmarks/image_path.py ants_bees.zip --enlarged 8     # as large as a camera's
    python benchmarks/image_path.py ants_bees.zip --fastai fastai/bin/python
"""

import argparse
import io
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import start
from PIL import Image
from torch import Tensor

from lightning_recipes import ImageDataModule

SCALE, MEAN, STD = (0.35, 1.0), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def loader_of(options: argparse.Namespace, **changed: Any) -> Callable[[], Iterator[Any]]:
    """Our loader's batches, one epoch after another."""
    data = ImageDataModule(
        options.root,
        image_size=options.image_size,
        batch_size=options.batch_size,
        num_workers=0,
        augment=options.augment,
        **changed,
    )
    loader = data.train_dataloader()
    return lambda: iter(loader)


def batches_of(read: Callable[[int], Tensor], images: int, size: int) -> Callable[[], Iterator[Any]]:
    """Batches of images that are read one by one, as PyTorch's loader stacks them."""

    def run() -> Iterator[Tensor]:
        order = torch.randperm(images).tolist()
        for first in range(0, images - size + 1, size):
            yield torch.stack([read(index) for index in order[first : first + size]])

    return run


def by_torchvision(blobs: list[bytes], size: int) -> Callable[[int], Tensor]:
    """Its decoder and its transforms on tensors, antialiased."""
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=SCALE, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    encoded = [torch.from_numpy(np.frombuffer(blob, np.uint8).copy()) for blob in blobs]
    return lambda index: transform(decode_image(encoded[index], mode=ImageReadMode.RGB))  # type: ignore[no-any-return]


def by_torchvision_on_pillow(blobs: list[bytes], size: int) -> Callable[[int], Tensor]:
    """What most training scripts have."""
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=SCALE),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    return lambda index: transform(Image.open(io.BytesIO(blobs[index])).convert("RGB"))  # type: ignore[no-any-return]


def by_albumentations(blobs: list[bytes], size: int) -> Callable[[int], Tensor]:
    """OpenCV all the way; its resizing does not filter what it shrinks."""
    import albumentations as a
    import cv2
    from albumentations.pytorch import ToTensorV2

    cv2.setNumThreads(0)
    transform = a.Compose(
        [a.RandomResizedCrop((size, size), scale=SCALE), a.HorizontalFlip(), a.Normalize(MEAN, STD), ToTensorV2()]
    )
    read = lambda blob: cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_COLOR_RGB)  # noqa: E731
    return lambda index: transform(image=read(blobs[index]))["image"]  # type: ignore[no-any-return]


def by_fastai(python: str, blobs: list[bytes], options: argparse.Namespace, folder: Path) -> subprocess.Popen[str]:
    """Return a process of fastai's environment that makes an epoch for each line it gets, and answers with one."""
    for index, blob in enumerate(blobs):
        path = folder / f"{index % 2}" / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob)
    words = ["--size", str(options.image_size), "--batch_size", str(options.batch_size), "--scale", str(SCALE[0])]
    command = [python, str(Path(__file__).parent / "peers" / "fastai_images.py"), str(folder), *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def asked(process: subprocess.Popen[str]) -> Iterator[int]:
    """Have a process make an epoch, and yield how many images it had."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(file=process.stdin, flush=True)
    yield int(process.stdout.readline())


def decoded_alone(blobs: list[bytes]) -> Callable[[], Iterator[Any]]:
    """The limit: nothing but the decoder."""
    import simplejpeg

    return lambda: (simplejpeg.decode_jpeg(blob, "RGB") for blob in blobs)


def enlarge(root: str, times: int, folder: Path) -> str:
    """Save the training pictures so many times as large, and return where."""
    train = ImageDataModule(root).opened.splits.train
    for index in range(len(train)):
        image = Image.fromarray(train.read(index))
        path = (
            folder / ("val" if index % 10 == 0 else "train") / train.classes[int(train.labels[index])] / f"{index}.jpg"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        image.resize((times * image.width, times * image.height), Image.Resampling.BICUBIC).save(path, quality=90)
    return str(folder)


def seconds(run: Callable[[], Iterator[Any]]) -> float:
    began = time.perf_counter()
    for _ in run():
        pass
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder or a zip of JPEGs")
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--augment", default="light")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--enlarged", type=int, default=1, help="how often each side of a picture")
    parser.add_argument("--fastai", help="python of an environment that has it (default: left out)")
    parser.add_argument("--ours_alone", action="store_true", help="for a checkout that knows no other backend")
    options = parser.parse_args()
    start()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if options.enlarged > 1:
            options.root = enlarge(options.root, options.enlarged, Path(folder))
        compare(options, Path(folder))


def compare(options: argparse.Namespace, folder: Path) -> None:
    source = ImageDataModule(options.root).opened.splits.train
    names = [source.paths[index] for index in range(len(source))]
    blobs = [source.tree.open(name).read() for name in names]
    sides = np.array([Image.open(io.BytesIO(blob)).size for blob in blobs]).mean(axis=0)
    size, each = options.image_size, options.batch_size
    runs = {"ours": loader_of(options)}
    if not options.ours_alone:
        runs |= {
            "ours, cache decoded": loader_of(options, cache="decoded"),
            "ours, image_backend pillow": loader_of(options, image_backend="pillow"),
            "torchvision v2 on tensors": batches_of(by_torchvision(blobs, size), len(blobs), each),
            "torchvision on Pillow": batches_of(by_torchvision_on_pillow(blobs, size), len(blobs), each),
            "albumentations": batches_of(by_albumentations(blobs, size), len(blobs), each),
            "decoder alone": decoded_alone(blobs),
        }
    images = {name: len(blobs) if name == "decoder alone" else len(blobs) // each * each for name in runs}
    if options.fastai:
        process = by_fastai(options.fastai, blobs, options, folder / "fastai")
        runs["fastai"] = lambda: asked(process)
        images["fastai"] = next(asked(process))
    for run in runs.values():
        seconds(run)  # warm up
    order, rates = list(runs), {name: [] for name in runs}
    for _ in range(options.rounds):
        for name in order:
            rates[name].append(images[name] / seconds(runs[name]))
        order = [*order[1:], order[0]]
    if options.fastai:
        process.terminate()
    print(f"{len(blobs)} pictures of {sides[0]:.0f} x {sides[1]:.0f} px on average, to {size} px, one core")
    for name, found in rates.items():
        ratios = sorted(one / ours for one, ours in zip(found, rates["ours"], strict=True))
        print(
            f"{name:<28} {statistics.median(found):7.0f} images/s, "
            f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}..{ratios[-1]:.2f}] of ours"
        )


if __name__ == "__main__":
    main()
