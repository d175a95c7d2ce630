"""Values of data keys with which no run can work."""

import pytest

from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.errors import UserError
from lightning_recipes.stages.plan import Stage


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"image_size": 3}, r"^data\.image_size: 3 is not a whole number >= 8$"),
        ({"image_size": 32.5}, r"^data\.image_size: 32\.5 is not a whole number"),
        ({"val_fraction": 0}, r"^data\.val_fraction: 0 is not a share between 0 and 1"),
        ({"val_fraction": 20}, r"^data\.val_fraction: 20 is not a share between 0 and 1"),
        ({"val_fraction": float("nan")}, r"^data\.val_fraction: nan is not a share"),
        ({"split_seed": -1}, r"^data\.split_seed: -1 is not a whole number >= 0"),
        ({"split_seed": 0.5}, r"^data\.split_seed: 0\.5 is not a whole number >= 0"),
        ({"images_per_class": 0}, r"^data\.images_per_class: 0 is not a whole number >= 1"),
        ({"std": [0.2, 0.0, 0.2]}, r"^data\.std: .* three numbers > 0"),
        ({"mean": [0.2, float("nan"), 0.2]}, r"^data\.mean: .* three numbers"),
    ],
)
def test_values_that_cannot_work_are_refused_before_any_image_is_read(options: dict[str, object], text: str) -> None:
    with pytest.raises(UserError, match=text):
        ImageDataModule("nowhere", **options)  # type: ignore[arg-type]


def test_a_stage_cannot_be_of_images_without_content_either() -> None:
    with pytest.raises(UserError, match=r"^stage 'all', image_size: 3 is not a number >= 8$"):
        Stage("all", epochs=1, image_size=3)
