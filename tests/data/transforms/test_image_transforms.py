"""Views of images: evaluation as timm's, training views as functions of the seed."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from timm.data import create_transform
from torch import Tensor

from lightning_recipes.data.transforms.image_transforms import Transform, eval_transform, train_transform
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig

HALF = (0.5, 0.5, 0.5)
POLICIES: list[Any] = [
    "light",
    "medium",
    "strong",
    "randaugment",
    "trivialaugment",
    "autoaugment",
    {"name": "light", "ops": "autoaugment_cifar10"},
    "augmix",
    "spectrogram",
    {"name": "light", "crop": "padded", "flip": False},
    [{"HorizontalFlip": {"p": 0.5}}, {"RandomBrightnessContrast": {"p": 1.0}}, "Rotate"],
    [{"class_path": "albumentations.OneOf", "init_args": {"transforms": ["Blur", "CLAHE"], "p": 1.0}}],
]


def photo(height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    smooth = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(smooth).resize((width, height), Image.Resampling.BICUBIC))


def numpy_state() -> list[int]:
    state: Any = np.random.get_state()  # noqa: NPY002 - the global one is what has to be left alone
    return [int(word) for word in state[1]]


def view(policy: Any, size: int = 32) -> Transform:
    return train_transform(policy, InputConfig(size, HALF, HALF))


def assert_same_picture(ours: Tensor, theirs: Tensor, backend: str) -> None:
    """Pillow's, as timm has it, to the last bit; PyTorch's to within one level of 255 where a filter does not swing."""
    if backend == "pillow":
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    else:
        levels = ((ours - theirs).abs() * 255 * HALF[0]).round()
        assert float((levels > 1).float().mean()) < 1e-3
        assert float(levels.mean()) < 0.05


@pytest.mark.parametrize("backend", ["torch", "pillow"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("height", "width"), [(60, 80), (301, 200), (20, 33)])
def test_evaluation_sees_what_timms_evaluation_sees(interpolation: str, backend: Any, height: int, width: int) -> None:
    options: dict[str, Any] = {"interpolation": interpolation, "crop_pct": 0.875, "mean": (0.4, 0.5, 0.6), "std": HALF}
    image = photo(height, width)
    ours = eval_transform(InputConfig(32, **options, image_backend=backend))(image, 0)
    assert_same_picture(ours, create_transform(32, **options)(Image.fromarray(image)), backend)


@pytest.mark.parametrize("backend", ["torch", "pillow"])
@pytest.mark.parametrize(("fit", "crop_mode"), [("squish", "squash"), ("pad", "border")])
@pytest.mark.parametrize(("height", "width"), [(60, 80), (301, 200), (20, 33)])
def test_a_picture_that_is_seen_whole_is_as_timm_sees_it(
    fit: Any, crop_mode: str, backend: Any, height: int, width: int
) -> None:
    options: dict[str, Any] = {"interpolation": "bicubic", "mean": (0.4, 0.5, 0.6), "std": HALF}
    image = photo(height, width)
    wanted = InputConfig(32, **options, crop_pct=0.875, fit=fit, image_backend=backend)  # which cuts nothing off
    ours = eval_transform(wanted)(image, 0)
    theirs = create_transform(32, **options, crop_pct=1.0, crop_mode=crop_mode)(Image.fromarray(image))
    assert_same_picture(ours, theirs, backend)


@pytest.mark.parametrize("fit", ["pad", "squish"])
def test_training_crops_are_of_the_whole_picture(fit: Any) -> None:
    wide = np.zeros((20, 200, 3), np.uint8)
    wide[:, :20] = 255  # what the middle does not show
    plain = {"name": "light", "crop": "centre", "flip": False, "cutout": 0.0}
    transform = train_transform(plain, InputConfig(32, HALF, HALF, fit=fit))
    assert float((transform(wide, 0) > 0.9).float().mean()) > (0.003 if fit == "pad" else 0.05)
    assert float(train_transform(plain, InputConfig(32, HALF, HALF))(wide, 0).max()) < 0


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_a_view_is_a_function_of_image_and_seed_and_touches_no_global_state(policy: Any) -> None:
    transform, states = view(policy), (torch.get_rng_state(), numpy_state())
    first = [transform(photo(), seed) for seed in range(8)]
    again = [pickle.loads(pickle.dumps(transform))(photo(), seed) for seed in reversed(range(8))]
    assert all(torch.equal(a, b) for a, b in zip(first, reversed(again), strict=True))
    assert any(not torch.equal(first[0], other) for other in first[1:])
    assert first[0].shape == (3, 32, 32)
    assert first[0].dtype == torch.float32
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == numpy_state()


def test_normalisation_is_by_mean_and_deviation_of_values_from_0_to_1() -> None:
    white = np.full((8, 8, 3), 255, dtype=np.uint8)
    tensor = eval_transform(InputConfig(8, mean=(0.2, 0.4, 0.6), std=(0.5, 0.25, 0.1)))(white, 0)
    torch.testing.assert_close(tensor[:, 0, 0], torch.tensor([1.6, 2.4, 4.0]))


def test_cutout_cuts_a_square_of_the_stated_side_and_the_colour_of_the_mean() -> None:
    policy = {"name": "light", "crop": "centre", "flip": False, "cutout": 0.25, "cutout_p": 1.0}
    white = np.full((32, 32, 3), 255, dtype=np.uint8)
    cut = (view(policy)(white, 3)[0].abs() < 0.01).nonzero()  # the mean is 0 after normalisation
    sides = cut.max(dim=0).values - cut.min(dim=0).values + 1
    assert len(cut) == 64
    assert sides.tolist() == [8, 8]


def test_without_flips_nothing_is_mirrored_and_with_them_half_is() -> None:
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[:, :16] = 255
    mirrored = {}
    for flip in (True, False):
        transform = view({"name": "light", "crop": "centre", "flip": flip, "cutout": 0.0})
        mirrored[flip] = sum(transform(image, seed)[0, 0, 0].item() < 0 for seed in range(200))
    assert mirrored[False] == 0
    assert 70 <= mirrored[True] <= 130  # more than four standard deviations of a fair coin


def test_padded_crops_move_by_at_most_an_eighth() -> None:
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[16, 16] = 255
    transform = view({"name": "light", "crop": "padded", "flip": False, "cutout": 0.0})
    places = torch.stack([(transform(image, seed)[0] > 0).nonzero()[0] for seed in range(100)])
    assert places.min().item() == 12
    assert places.max().item() == 20
    narrow = view({"name": "light", "crop": "padded", "border": 1 / 16, "flip": False, "cutout": 0.0})
    places = torch.stack([(narrow(image, seed)[0] > 0).nonzero()[0] for seed in range(100)])
    assert (places.min().item(), places.max().item()) == (14, 18)


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ("ligth", r"data\.augment: 'ligth' is not a policy .*did you mean light"),
        ({"name": "light", "cutuot": 0.1}, r"data\.augment\.cutuot: .*did you mean cutout"),
        ({"name": "light", "cutout": 2.0}, r"data\.augment\.cutout: 2\.0"),
        ({"name": "light", "crop": "pad"}, r"data\.augment\.crop: 'pad' is not one of resized, padded, centre"),
        ({"name": "light", "scale": [0.5]}, r"data\.augment\.scale"),
        (
            [{"HorizontalFlop": {}}],
            r"data\.augment: albumentations has no 'HorizontalFlop'; did you mean HorizontalFlip",
        ),
        ([{"HorizontalFlip": {"probability": 0.5}}], r"data\.augment: HorizontalFlip refuses its arguments"),
        ([{"Rotate": {}, "Blur": {}}], r"data\.augment: .* is not a transform"),
    ],
)
def test_a_wrong_policy_is_named_in_the_error(policy: Any, text: str) -> None:
    with pytest.raises(UserError, match=text):
        view(policy)


def test_a_pipeline_that_normalises_itself_is_told_not_to() -> None:
    with pytest.raises(UserError, match="leave out Normalize and ToTensor"):
        view(["Normalize"])(photo(), 0)


def test_searched_operations_are_torchvisions_from_the_same_seed() -> None:
    from torchvision import transforms as tv

    crop = {"crop": "centre", "flip": False, "cutout": 0.0}
    image = photo(32, 32)
    for name, theirs in (
        ("randaugment", tv.RandAugment(2, 9)),
        ("autoaugment", tv.AutoAugment()),
        ("augmix", tv.AugMix()),
    ):
        ours = view({"name": name, **crop})(image, 5)
        torch.manual_seed(5)
        expected = np.asarray(theirs(Image.fromarray(image))) / 255
        torch.testing.assert_close(
            ours, torch.tensor((expected - 0.5) / 0.5).permute(2, 0, 1).float(), atol=1e-5, rtol=0
        )


def test_a_spectrogram_loses_stripes_of_time_and_frequency_no_wider_than_stated() -> None:
    white = np.full((40, 40, 3), 255, dtype=np.uint8)
    transform = view({"name": "spectrogram", "time_mask": 0.25, "frequency_mask": 0.1}, size=40)
    widths = []
    for seed in range(60):
        blank = transform(white, seed)[0].abs() < 0.01  # the mean is 0 after normalisation
        columns, rows = blank.all(dim=0).nonzero().flatten(), blank.all(dim=1).nonzero().flatten()
        widths.append((len(columns), len(rows)))
        for stripe in (columns, rows):
            assert len(stripe) == 0 or int(stripe[-1] - stripe[0]) == len(stripe) - 1  # one stripe, from edge to edge
        assert int(blank.sum()) == 40 * len(columns) + 40 * len(rows) - len(columns) * len(rows)
    assert 8 <= max(w for w, _ in widths) <= 10
    assert 3 <= max(h for _, h in widths) <= 4


def test_policies_that_differ_in_one_parameter_differ_in_that_alone() -> None:
    image, whole = photo(), {"crop": "resized", "flip": False, "cutout": 0.0}
    for seed in range(20):
        plain, cut = (
            view({"name": "light", **whole, **more})(image, seed) for more in ({}, {"cutout": 0.3, "cutout_p": 1.0})
        )
        mirrored = view({"name": "light", **whole, "flip": True})(image, seed)
        assert torch.equal(mirrored, plain) or torch.equal(mirrored, plain.flip(-1))
        assert int((cut != plain).any(dim=0).sum()) <= 10 * 10  # the hole of 0.3 of 32 px
        assert int((cut != plain).any(dim=0).sum()) > 80


def test_a_view_leaves_the_picture_as_it_is() -> None:
    image = photo(32, 32)
    before = image.copy()
    for policy in ({"name": "light", "crop": "centre", "flip": False, "cutout_p": 1.0}, "spectrogram", "medium"):
        for seed in range(10):
            view(policy)(image, seed)
    assert (image == before).all()


def test_a_small_part_is_taken_between_pixels() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 4:] = 255
    policy = {"name": "light", "flip": False, "cutout": 0.0, "scale": [0.3, 0.31], "ratio": [1.0, 1.0]}
    edges = {round(float(view(policy, size=8)(image, seed).mean()), 3) for seed in range(40)}
    assert len(edges) > 20  # with whole pixels, there would be as many as there are places: five
