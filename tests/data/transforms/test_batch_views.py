"""Views of whole batches, against what a policy says and against torchvision."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as F  # noqa: N812 - its name everywhere

from lightning_recipes.data.transforms.batch_views import DRAWS, NAMES, draw_views, refuse_for_batches
from lightning_recipes.data.transforms.policies import resolve_policy
from lightning_recipes.errors import UserError
from lightning_recipes.randomness import uniforms_for

PLAIN: dict[str, Any] = {"name": "light", "crop": "centre", "flip": False, "cutout": 0.0}
FILL = torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None]


def photos(count: int = 64, size: int = 32) -> Tensor:
    smooth = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(smooth, size, mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)


def drawn(count: int = 64, **fixed: float) -> Tensor:
    draws = torch.from_numpy(uniforms_for("views", indices=np.arange(count), columns=DRAWS))
    for name, value in fixed.items():
        draws[:, NAMES.index(name)] = value
    return draws


def views(policy: dict[str, Any], pixels: Tensor, **fixed: float) -> Tensor:
    before = pixels.clone()
    made = draw_views(resolve_policy(policy), pixels, drawn(len(pixels), **fixed), FILL)
    assert made.dtype == torch.uint8
    assert made.shape == pixels.shape
    assert torch.equal(pixels, before)
    return made


def test_nothing_is_done_where_nothing_is_asked_for() -> None:
    assert torch.equal(views(PLAIN, photos()), photos())


@pytest.mark.parametrize("policy", ["light", "medium", "strong", "spectrogram", {**PLAIN, "crop": "padded"}], ids=str)
def test_a_view_is_a_function_of_image_and_draws_and_of_no_neighbour(policy: Any) -> None:
    whole = draw_views(resolve_policy(policy), photos(), drawn(), FILL)
    alone = [draw_views(resolve_policy(policy), photos()[i : i + 1], drawn()[i : i + 1], FILL) for i in range(64)]
    assert (whole.int() - torch.cat(alone).int()).abs().max() <= 1  # sums in another order, rounded
    assert not torch.equal(whole, photos())


def test_half_are_mirrored() -> None:
    made = views({**PLAIN, "flip": True}, photos(200))
    mirrored = (made == photos(200).flip(3)).all(dim=(1, 2, 3))
    kept = (made == photos(200)).all(dim=(1, 2, 3))
    assert bool((mirrored ^ kept).all())
    assert 70 <= int(mirrored.sum()) <= 130


def test_padded_crops_move_by_at_most_an_eighth_over_black() -> None:
    made, pixels = views({**PLAIN, "crop": "padded"}, photos()), photos()
    shifts = set()
    for image, view in zip(pixels, made, strict=True):
        wide = torch.nn.functional.pad(image, (4, 4, 4, 4))
        found = [(y, x) for y in range(9) for x in range(9) if torch.equal(wide[:, y : y + 32, x : x + 32], view)]
        assert len(found) == 1
        shifts.add(found[0])
    assert {y for y, _ in shifts} == {x for _, x in shifts} == set(range(9))


def test_a_resized_crop_of_the_whole_is_the_image_and_of_a_quarter_a_quarter() -> None:
    smooth = photos(8)
    whole = views({**PLAIN, "crop": "resized", "scale": [1.0, 1.0], "ratio": [1.0, 1.0]}, smooth)
    assert (whole.int() - smooth.int()).abs().float().mean() < 6  # bilinear between the same pixels: a little softer
    quarter = {**PLAIN, "crop": "resized", "scale": [0.25, 0.25], "ratio": [1.0, 1.0]}
    made = views(quarter, smooth, down=0.0, across=0.9999)
    theirs = F.resize(smooth[:, :, :16, 16:], [32, 32], antialias=True)
    assert (made.int() - theirs.int()).abs().float().mean() < 4


def test_cutout_cuts_a_square_of_the_stated_side_and_colour() -> None:
    made = views({**PLAIN, "cutout": 0.25, "cutout_p": 1.0}, torch.full((64, 3, 32, 32), 255, dtype=torch.uint8))
    for view in made:
        cut = (view == FILL).all(dim=0).nonzero()
        assert len(cut) == 64
        assert (cut.max(dim=0).values - cut.min(dim=0).values + 1).tolist() == [8, 8]


def test_stripes_are_no_wider_than_stated_and_go_from_edge_to_edge() -> None:
    white = torch.full((64, 3, 40, 40), 255, dtype=torch.uint8)
    made = views({"name": "spectrogram", "time_mask": 0.25, "frequency_mask": 0.1}, white)
    blank = (made == FILL).all(dim=1)
    columns, rows = blank.all(dim=1).sum(1), blank.all(dim=2).sum(1)
    assert (int(columns.max()), int(rows.max())) == (10, 4)
    assert torch.equal(blank.sum(dim=(1, 2)), 40 * columns + 40 * rows - columns * rows)


def test_moves_are_those_of_torchvision() -> None:
    pixels = photos(4)
    made = views({**PLAIN, "shift": 0.25}, pixels, turn=0.5, move_across=0.0, move_down=0.5)  # a quarter to the right
    assert torch.equal(made[:, :, :, 8:], pixels[:, :, :, :-8])
    assert bool((made[:, :, :, :8] == FILL).all())
    turned = views({**PLAIN, "rotate": 90.0}, pixels, turn=1.0)
    assert (turned.int() - torch.rot90(pixels, 1, (2, 3)).int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("brightness", F.adjust_brightness), ("contrast", F.adjust_contrast), ("saturation", F.adjust_saturation)],
)
@pytest.mark.parametrize("share", [0.0, 0.25, 0.9])
def test_colours_are_those_of_torchvision(name: str, theirs: Any, share: float) -> None:
    middle = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.5)
    made = views({**PLAIN, "jitter": 0.4}, photos(8), **{**middle, name: share})
    expected = theirs(photos(8), 1 + (2 * share - 1) * 0.4)
    assert (made.int() - expected.int()).abs().max() <= 2  # torchvision rounds the grey, and cuts off in between


def test_hue_turns_colours_and_leaves_grey_as_it_is() -> None:
    middle = dict.fromkeys(("brightness", "contrast", "saturation"), 0.5)
    grey = photos(8)[:, :1].expand(-1, 3, -1, -1).contiguous()
    assert (views({**PLAIN, "jitter": 1.0}, grey, **middle, hue=1.0).int() - grey.int()).abs().max() <= 1
    made = views({**PLAIN, "jitter": 1.0}, photos(8), **middle, hue=1.0).float()
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert (made - photos(8)).abs().mean() > 5
    assert ((made - photos(8)) * weights).sum(1).abs().mean() < 4  # as bright as before, but where it is cut off


def test_searched_operations_are_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"^data\.cache: device does not draw randaugment; .* or give light"):
        refuse_for_batches(resolve_policy("randaugment"))
