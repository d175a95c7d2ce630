"""Many clients, slow ones, and such as go away: nobody waits for another, and nothing is lost."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from lightning_recipes import load
from lightning_recipes.serving.threads import DECODERS
from tests.serving.asking import PATIENCE, InThread, encoded, noise

WAITING = "lightning_recipes_requests_waiting"


def held(served: InThread, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have the network wait for an event before each batch."""
    go, compute = threading.Event(), served.app.batches.compute

    def compute_later(items: Sequence[list[Tensor]]) -> Sequence[Tensor]:
        assert go.wait(PATIENCE)
        return compute(items)

    monkeypatch.setattr(served.app.batches, "compute", compute_later)
    return go


def test_requests_that_come_together_go_through_the_network_together(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [encoded(noise(i)) for i in range(9)]
    expected = load(checkpoint).predict(pictures)
    with InThread(checkpoint, max_batch_size=4, batch_wait_ms=0) as served, ThreadPoolExecutor(9) as clients:
        go = held(served, monkeypatch)
        first = clients.submit(served.ask, body=pictures[0])
        served.wait_for("lightning_recipes_pictures_total", 1)
        others = [clients.submit(served.ask, body=one) for one in pictures[1:]]
        served.wait_for(WAITING, 9)
        time.sleep(0.2)  # the last of them is decoded
        go.set()
        for future, found in zip([first, *others], expected, strict=True):
            given = future.result().said["probabilities"].values()
            np.testing.assert_allclose(list(given), found.probabilities, atol=1e-5)
        assert served.count("lightning_recipes_batch_size_count") == 3  # of 1, 4 and 4
        assert served.count("lightning_recipes_batch_size_sum") == 9


def test_a_picture_that_the_network_fails_on_fails_alone(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with InThread(checkpoint, batch_wait_ms=300) as served, ThreadPoolExecutor(6) as clients:
        compute = served.app.batches.compute
        pictures = [encoded(noise(i)) for i in range(6)]
        (broken,) = served.app.network.inputs_of(pictures[2])

        def failing(items: Sequence[list[Tensor]]) -> Sequence[Tensor]:
            if any(bool((one[0] == broken).all()) for one in items):
                raise RuntimeError("out of memory")
            return compute(items)

        monkeypatch.setattr(served.app.batches, "compute", failing)
        found = list(clients.map(lambda picture: served.ask(body=picture).status, pictures))
        assert found == [200, 200, 500, 200, 200, 200]
        assert served.count("lightning_recipes_batch_size_count") < 6


def test_who_finds_no_place_is_told_to_come_again(checkpoint: Path) -> None:
    picture = encoded(noise(0))
    with InThread(checkpoint, max_waiting=2) as served:
        slow = [served.begin(len(picture), picture[:50]) for _ in range(2)]
        served.wait_for(WAITING, 2)
        refused = served.ask(body=picture)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.said["error"].startswith("2 requests are under way, as many as max_waiting; ask again")
        assert served.ask("/health").status == 200
        slow[0].close()  # a client that goes away leaves its place
        served.wait_for(WAITING, 1)
        assert served.ask(body=picture).status == 200
        assert served.end_of(slow[1], picture[50:]).status == 200


def test_a_slow_body_is_refused_and_others_do_not_wait_for_it(checkpoint: Path) -> None:
    picture = encoded(noise(0))
    with InThread(checkpoint, timeout=0.5) as served:
        slow = [served.begin(len(picture), picture[:50]) for _ in range(5)]
        served.wait_for(WAITING, 5)
        assert served.ask(body=picture).status == 200
        for one in slow:
            answer = served.end_of(one)
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert answer.said["error"].startswith("the body did not come within 0.5 seconds; send it faster")
        assert served.count(WAITING) == 0


def test_an_answer_that_takes_too_long_is_given_up(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with InThread(checkpoint, timeout=0.3) as served:
        go = held(served, monkeypatch)
        late = served.ask(body=encoded(noise(0)))
        assert (late.status, late.said["error"].startswith("there was no answer within 0.3 seconds")) == (503, True)
        go.set()
        assert served.ask(body=encoded(noise(0))).status == 200


def test_a_picture_of_a_client_that_has_gone_is_not_computed(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = encoded(noise(0))
    with InThread(checkpoint, batch_wait_ms=0) as served:
        go = held(served, monkeypatch)
        first = served.begin(len(picture), picture)
        served.wait_for("lightning_recipes_pictures_total", 1)  # it is in the network; the next ones wait
        others = [served.begin(len(picture), picture) for _ in range(3)]
        served.wait_for(WAITING, 4)
        for one in others:
            one.close()
        served.wait_for(WAITING, 1)
        go.set()
        assert served.end_of(first).status == 200
        assert served.ask(body=picture).status == 200
        assert served.count("lightning_recipes_pictures_total") == 2
        assert served.count('lightning_recipes_requests_total{path="/predict",status="499"}') == 3


def test_threads_are_as_many_as_at_first(checkpoint: Path) -> None:
    before = threading.active_count()
    pictures = [encoded(noise(i)) for i in range(60)]
    with InThread(checkpoint) as served, ThreadPoolExecutor(12) as clients:
        found = [answer.status for answer in clients.map(lambda one: served.ask(body=one), pictures)]
        assert found == [200] * 60
        assert threading.active_count() <= before + 12 + DECODERS + 2
        assert served.count("lightning_recipes_request_seconds_count") == 60
        assert served.count('lightning_recipes_requests_total{path="/predict",status="200"}') == 60
    assert threading.active_count() <= before


def test_who_is_in_is_answered_when_the_server_ends_and_nobody_is_let_in(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = encoded(noise(0))
    with InThread(checkpoint) as served:
        go = held(served, monkeypatch)
        busy = served.begin(len(picture), picture)
        half = served.begin(len(picture), picture[:50])
        served.wait_for(WAITING, 2)
        served.server.should_exit = True
        end = time.monotonic() + PATIENCE
        while not served.app.admission.closed:
            assert time.monotonic() < end
            time.sleep(0.01)
        go.set()
        assert served.end_of(half, picture[50:]).status == 200
        assert served.end_of(busy).status == 200
        with pytest.raises(ConnectionRefusedError):
            served.ask(body=picture)
