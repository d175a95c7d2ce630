"""What a folder with weights says of itself: ``README.md``, as the Hugging Face hub shows it."""

from collections.abc import Sequence

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from lightning_recipes._version import __version__
from lightning_recipes.evaluation.percent import percent, percent_range
from lightning_recipes.run.reader import Measured, RunContents

__all__ = ["model_card"]

MOST = 20  # classes that are named

TEXT = """---
{{ card_data }}
---

# {{ name }}

Tells {{ count }} apart: {{ classes }}.

```python
import timm
from PIL import Image
from timm.data import create_transform, resolve_data_config

model = timm.create_model("{{ where }}", pretrained=True).eval()
transform = create_transform(**resolve_data_config({}, model=model))
logits = model(transform(Image.open("photo.jpg").convert("RGB"))[None])
print(model.pretrained_cfg["label_names"][int(logits.argmax())])
```

{{ reached }}

Trained with lightning-recipes {{ version }}; `export.json` says how far timm's answers are from the framework's.
"""


def model_card(name: str, where: str, classes: Sequence[str], run: RunContents, license: str | None) -> str:  # noqa: A002
    """Return the text.

    Args:
        name: Of the model.
        where: As ``timm.create_model`` takes it.
        classes: Their names.
        run: Whose numbers on its validation images are told; its folder may be no run's.
        license: Of the weights; None: nothing is claimed.
    """
    known = [one for one in run.measured if one.value is not None and not one.name.startswith("ensemble")]
    data = ModelCardData(
        library_name="timm",
        pipeline_tag="image-classification",
        tags=["image-classification", "timm", "lightning-recipes"],
        license=license,
        model_name=name,
        eval_results=[
            EvalResult(
                task_type="image-classification",
                dataset_type="imagefolder",
                dataset_name="validation images",
                metric_type=one.name.removeprefix("val_"),
                metric_value=one.value,
            )
            for one in known
        ]
        or None,
    )
    rest = len(classes) - MOST
    named = ", ".join(classes[:MOST]) + (f" and {rest:,} more" if rest > 0 else "")
    text = {"name": name, "where": where, "count": f"{len(classes):,} classes", "classes": named}
    reached = _reached(known, run.summary.get("val_images"))
    return str(ModelCard.from_template(data, template_str=TEXT, version=__version__, reached=reached, **text))


def _reached(known: Sequence[Measured], images: int | None) -> str:
    if not known:
        return "What it reaches was not measured here."
    said = []
    for one in known:
        between = "" if one.ci95 is None else f" (95 % interval {percent_range(*one.ci95)})"
        said.append(f"{one.title} {percent(one.value)}{between}")
    return f"{', '.join(said)}, of {images or 0:,} images, on which the best epoch was chosen."
