"""What a folder with weights says of itself: ``README.md``, as the Hugging Face hub shows it."""

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from lightning_recipes._version import __version__
from lightning_recipes.evaluation.percent import percent, percent_range

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


def model_card(
    name: str,
    where: str,
    classes: Sequence[str],
    summary: Mapping[str, Any],
    license: str | None,  # noqa: A002
) -> str:
    """Return the text.

    Args:
        name: Of the model.
        where: As ``timm.create_model`` takes it.
        classes: Their names.
        summary: Of the run, for what was reached on the validation images; may be empty.
        license: Of the weights; None: nothing is claimed.
    """
    accuracy = summary.get("val_accuracy")
    results = None
    if accuracy is not None:
        results = [
            EvalResult(
                task_type="image-classification",
                dataset_type="imagefolder",
                dataset_name="validation images",
                metric_type="accuracy",
                metric_value=accuracy,
            )
        ]
    data = ModelCardData(
        library_name="timm",
        pipeline_tag="image-classification",
        tags=["image-classification", "timm", "lightning-recipes"],
        license=license,
        model_name=name,
        eval_results=results,
    )
    rest = len(classes) - MOST
    named = ", ".join(classes[:MOST]) + (f" and {rest:,} more" if rest > 0 else "")
    count = f"{len(classes):,} classes"
    text = {"name": name, "where": where, "count": count, "classes": named, "reached": _reached(summary)}
    return str(ModelCard.from_template(data, template_str=TEXT, version=__version__, **text))


def _reached(summary: Mapping[str, Any]) -> str:
    if summary.get("val_accuracy") is None:
        return "What it reaches was not measured here."
    between = percent_range(*summary["val_accuracy_ci95"])
    return (
        f"Accuracy on {summary['val_images']:,} validation images: {percent(summary['val_accuracy'])} "
        f"(95 % interval {between}). The best epoch was chosen on these images."
    )
