"""Pretrained weights where the hub cannot be reached, with the hub's own client."""

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants, get_session

from lightning_recipes.errors import UserError
from lightning_recipes.models.backbone import create_backbone
from lightning_recipes.models.hub import cache_alone_if_offline

NOWHERE = "http://127.0.0.1:9"  # the port of `discard`, which nothing listens on


@pytest.fixture
def calls() -> Iterator[tuple[str, list[None]]]:
    """An address where whoever calls is hung up on, and counted."""
    heard: list[None] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:  # the test is over
                    return
                heard.append(None)

        Thread(target=hang_up, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A hub that is not there, and an empty cache."""
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("pretrained", [True, "hf-hub:timm/resnet18.a1_in1k"])
def test_weights_that_cannot_be_had_are_refused_at_once_and_in_whole(
    pretrained: bool | str,
    unreachable: Path,
    calls: tuple[str, list[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, heard = calls
    monkeypatch.setattr(constants, "ENDPOINT", address)
    with pytest.raises(UserError) as refused:
        create_backbone("resnet18", pretrained=pretrained, num_classes=3)
    assert len(heard) == 1  # the client itself asks six times a file, with pauses between
    text = str(refused.value)
    assert text.startswith("model.pretrained: the weights of ")
    assert f"not in the cache, and {address} cannot be reached" in text
    assert text.endswith("give a weights file, or false")


def test_the_client_is_as_it_was_afterwards(unreachable: Path) -> None:
    with cache_alone_if_offline() as why:
        assert why
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE
    assert get_session() is get_session()
