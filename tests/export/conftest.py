"""Files are timed by a few runs here, and not for a second each."""

import pytest
import torch

from lightning_recipes.export import latency

# The first backward pass of a process counts devices, and torch.export makes one known: were that first, a thread would
# wait for it, and no test that forks could train any more.
torch.ones(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "SECONDS", 0.0)
