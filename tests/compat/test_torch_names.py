"""Names of torch beside its public interface: which one a new release has moved, and that each does what is said."""

import multiprocessing

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_recipes.compat import torch as compat
from tests.compat.releases import require_name


@pytest.mark.parametrize("name", ["_foreach_add_", "_foreach_copy_", "_foreach_sign"])
def test_torch_still_has_the_function(name: str) -> None:
    require_name("torch", torch, name)


@pytest.mark.parametrize("name", ["batchnorm._BatchNorm", "dropout._DropoutNd"])
def test_torch_still_has_the_class(name: str) -> None:
    require_name("torch", nn.modules, name)


def tensors() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator) for size in (3, 5)]


def test_tensors_are_changed_as_one_by_one() -> None:
    before, others = tensors(), [-2 * tensor for tensor in tensors()]
    added, copied = tensors(), tensors()
    compat.add_each_(added, others, times=3)
    compat.copy_each_(copied, others)
    for i in range(2):
        assert torch.equal(added[i], before[i].add(others[i], alpha=3))
        assert torch.equal(copied[i], others[i])
        assert torch.equal(compat.sign_of_each(before)[i], before[i].sign())


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm])
def test_every_batch_norm_is_one(kind: type[nn.Module]) -> None:
    assert issubclass(kind, compat.BatchNorm)


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout])
def test_every_dropout_is_one(kind: type[nn.Module]) -> None:
    assert issubclass(kind, compat.Dropout)


@pytest.mark.parametrize("fused", [True, False])
def test_an_optimizer_still_says_that_it_unscales_by_itself(fused: bool) -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], fused=fused)
    text = f"torch {torch.__version__} says it elsewhere: see unscales_by_itself in lightning_recipes/compat/torch.py"
    assert compat.unscales_by_itself(optimizer) is fused, text


def test_workers_that_a_loader_keeps_end_when_they_are_told_to_and_others_begin() -> None:
    numbers = TensorDataset(torch.arange(3))
    require_name("torch", DataLoader(numbers), "_iterator")
    before = {child.pid for child in multiprocessing.active_children()}
    loader = DataLoader(numbers, num_workers=1, persistent_workers=True)
    compat.end_workers(loader)  # none has begun
    seen = []
    for _ in range(2):
        assert [int(number) for (number,) in loader] == [0, 1, 2]
        seen.append({child.pid for child in multiprocessing.active_children()} - before)
        compat.end_workers(loader)
        assert {child.pid for child in multiprocessing.active_children()} <= before
    assert not seen[0] & seen[1]
