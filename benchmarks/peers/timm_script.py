"""A training script as one writes it with timm: its transforms, model, optimizer and schedule; prints one line of JSON.

One epoch of the head with the rest frozen, then all layers, each epoch with a validation.

python benchmarks/peers/timm_script.py ants_bees --weights mobilenetv2_100.safetensors --seed 0
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
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import timm
    import torch
    from timm.data import create_transform
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    torch.manual_seed(options.seed)
    half = (0.5,) * 3
    sets = {
        split: ImageFolder(
            f"{options.folder}/{split}",
            create_transform(options.size, is_training=split == "train", mean=half, std=half),
        )
        for split in ("train", "val")
    }
    train = DataLoader(sets["train"], batch_size=32, shuffle=True, drop_last=True)
    val = DataLoader(sets["val"], batch_size=64)
    overlay = {"file": options.weights, "mean": half, "std": half}
    model = timm.create_model(
        "mobilenetv2_100", pretrained=True, num_classes=len(sets["train"].classes), pad_type="same",
        pretrained_cfg_overlay=overlay,
    )  # fmt: skip
    criterion, images, accuracy = torch.nn.CrossEntropyLoss(), 0, 0.0
    for parts, epochs in ((model.get_classifier(), 1), (model, options.epochs)):
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in parts.parameters():
            parameter.requires_grad_(True)
        optimizer = create_optimizer_v2(parts, opt="adamw", lr=1e-3, weight_decay=0.01)
        schedule = CosineLRScheduler(optimizer, t_initial=epochs * len(train), t_in_epochs=False)
        step = 0
        for _ in range(epochs):
            model.train()
            for inputs, labels in train:
                schedule.step_update(step)
                loss = criterion(model(inputs), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                images, step = images + len(labels), step + 1
            model.eval()
            with torch.inference_mode():
                correct = sum(int((model(inputs).argmax(1) == labels).sum()) for inputs, labels in val)
            accuracy = correct / len(sets["val"])
    print(json.dumps({"accuracy": accuracy, "images": images, "seconds": round(time.perf_counter() - START, 1)}))


if __name__ == "__main__":
    main()
