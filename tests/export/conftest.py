"""Files are timed by a few runs here, and not for a second each."""

import pytest

from lightning_recipes.export import latency


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "SECONDS", 0.0)
