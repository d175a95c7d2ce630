"""What a client gets: the probabilities of ``predict`` for the same bytes, and one line for what is no picture."""

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import lightning_recipes as lr
from lightning_recipes.modules.evaluator import Evaluator
from lightning_recipes.modules.load import load_classifier
from lightning_recipes.modules.tta import MultiViewClassifier
from lightning_recipes.serving import network
from lightning_recipes.serving.answer import answer_of
from tests.serving.asking import PATIENCE, InThread, encoded, noise
from tests.serving.conftest import NAMES
from tests.small import classifier

LIMITS: dict[str, Any] = {"max_megabytes": 0.5, "max_megapixels": 0.25, "timeout": 15.0}


@pytest.fixture(scope="module")
def server(checkpoint: Path) -> Iterator[InThread]:
    with InThread(checkpoint, **LIMITS) as served:
        yield served


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Evaluator:
    return load_classifier(checkpoint)


def of_many_kinds() -> dict[str, bytes]:
    """Pictures that a decoder of one's own would get wrong."""
    turned = Image.Exif()
    turned[274] = 6
    deep = np.random.default_rng(0).integers(0, 4096, (40, 48)).astype(np.uint16)
    array = io.BytesIO()
    np.save(array, np.asarray(noise(7)))
    return {
        "png": encoded(noise(0)),
        "turned": encoded(noise(1), "JPEG", exif=turned),
        "cmyk": encoded(noise(2).convert("CMYK"), "JPEG"),
        "16 bit": encoded(Image.fromarray(deep)),
        "transparent": encoded(noise(4).convert("RGBA").rotate(30)),
        "palette": encoded(noise(5).quantize(16), "GIF"),
        "webp": encoded(noise(6), "WEBP"),
        "array": array.getvalue(),
        "large": encoded(noise(8, (480, 400)), "JPEG"),
    }


@pytest.mark.parametrize("kind", of_many_kinds())
def test_the_probabilities_are_those_of_predict_for_the_same_file(
    kind: str, server: InThread, model: Evaluator, tmp_path: Path
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(of_many_kinds()[kind])
    (expected,) = model.predict(path)
    answer = server.ask(body=path.read_bytes(), content_type="application/octet-stream")
    assert answer.status == 200
    assert answer.said["label"] == expected.label
    assert answer.said["probability"] == pytest.approx(expected.probability, abs=1e-5)
    assert list(answer.said["probabilities"]) == NAMES
    np.testing.assert_allclose(list(answer.said["probabilities"].values()), expected.probabilities, atol=1e-5)


def form(*parts: tuple[str, bytes]) -> bytes:
    head = b'--XX\r\nContent-Disposition: form-data; name="file"%s\r\n\r\n%s\r\n'
    return b"".join(head % (f'; filename="{name}"'.encode() if name else b"", body) for name, body in parts) + b"--XX--"


def test_a_form_with_one_file_is_a_picture_too(server: InThread) -> None:
    picture, kind = encoded(noise(3)), "multipart/form-data; boundary=XX"
    expected = server.ask(body=picture)
    assert server.ask(body=form(("a.png", picture)), content_type=kind).said == expected.said
    assert server.ask(body=form(("", b"a note"), ("a.png", picture)), content_type=kind).said == expected.said
    for body, said in (
        (form(("a.png", picture), ("b.png", picture)), "the form has 2 files; give one"),
        (form(("", b"a note")), "the form has 0 files; give one"),
        (b"--YY\r\n", "the form cannot be read"),
        (form(*[("", b"")] * 99, ("a.png", picture)), "the form has more than 16 parts"),
    ):
        answer = server.ask(body=body, content_type=kind)
        assert (answer.status, said in answer.said["error"]) == (400, True)
    assert server.ask(body=picture, content_type="multipart/form-data").status == 400


def test_top_lists_the_most_probable_classes(server: InThread) -> None:
    whole = server.ask(body=encoded(noise(3))).said
    part = server.ask("/predict?top=3", encoded(noise(3))).said
    assert list(part["probabilities"].items()) == sorted(whole["probabilities"].items(), key=lambda one: -one[1])[:3]
    assert next(iter(part["probabilities"])) == part["label"] == whole["label"]
    for wrong in ("0", "-1", "two", "1.5", ""):
        answer = server.ask(f"/predict?top={wrong}", encoded(noise(3)))
        assert (answer.status, answer.said["error"].startswith("top: ")) == (400, True)


def chunks(body: bytes) -> Iterator[bytes]:
    yield from (body[i : i + 10_000] for i in range(0, len(body), 10_000))


JPEG = encoded(noise(0, (200, 200)), "JPEG", quality=95)
BAD = {
    "text": (b"no picture", 400, "the picture cannot be read (not a picture); send a JPEG, PNG or WebP file"),
    "empty": (b"", 400, "the body is empty; send the bytes of a picture"),
    "cut off": (JPEG[: len(JPEG) // 2], 400, "cannot be decoded (image file is truncated"),
    "damaged": (encoded(noise(0))[:60], 400, "give all bytes of one picture"),
    "many pixels": (encoded(Image.new("1", (600, 600))), 400, "600 x 600 pixels, more than 250,000 (max_megapixels)"),
    "long": (encoded(Image.new("1", (100_000, 1))), 400, "100000 x 1 pixels, one side more than 5,000 times the other"),
    "large": (bytes(600_000), 413, "more than 500,000 bytes (max_megabytes); send a smaller picture"),
    "large, in chunks": (chunks(bytes(600_000)), 413, "more than 500,000 bytes (max_megabytes)"),
}


def test_bad_pictures_are_told_why_and_good_ones_among_them_are_answered(server: InThread, model: Evaluator) -> None:
    good = [encoded(noise(i)) for i in range(16)]
    expected = model.predict(good)
    with ThreadPoolExecutor(12) as clients:
        answers = [
            (clients.submit(server.ask, body=one), clients.submit(server.ask, body=good[i * 2]))
            for i, (one, _, _) in enumerate(BAD.values())
        ]
        for (bad, right), (_, status, said), found in zip(answers, BAD.values(), expected[::2], strict=True):
            assert bad.result().status == status
            assert said in bad.result().said["error"]
            assert "\n" not in bad.result().said["error"]
            given = right.result().said["probabilities"]
            np.testing.assert_allclose(list(given.values()), found.probabilities, atol=1e-5)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: InThread) -> None:
    announced = server.begin(10_000_000)
    assert server.end_of(announced).status == 413
    huge = server.raw(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\nExpect: 100-continue\r\n\r\n")
    assert huge.startswith(b"HTTP/1.1 413 ")


def test_other_addresses_and_methods_are_answered_in_json(server: InThread) -> None:
    lost = server.ask("/")
    assert (lost.status, lost.said["error"].startswith("there is no such address")) == (404, True)
    wrong = server.ask("/predict")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert server.raw(b"no HTTP\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_what_nobody_foresaw_is_in_the_log_and_not_in_the_answer(
    server: InThread, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(inputs: Any) -> Any:
        raise RuntimeError("the secret")

    with monkeypatch.context() as patch:
        patch.setattr(server.app.network.model, "probabilities_of", broken)
        answer = server.ask(body=encoded(noise(0)))
    assert answer.status == 500
    assert answer.said == {"error": "something went wrong here; the server's log says what"}
    end = time.monotonic() + PATIENCE  # it is logged after the answer
    while "the secret" not in caplog.text:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert server.ask(body=encoded(noise(0))).status == 200


def test_views_are_averaged_as_predict_does(checkpoint: Path, model: Evaluator) -> None:
    picture = encoded(noise(0))
    (expected,) = MultiViewClassifier(model, "flip").predict(picture)  # type: ignore[arg-type]
    with InThread(checkpoint, "flip") as served:
        given = served.ask(body=picture).said["probabilities"]
    np.testing.assert_allclose(list(given.values()), expected.probabilities, atol=1e-5)
    (plain,) = model.predict(picture)
    assert np.abs(plain.probabilities - expected.probabilities).max() > 1e-3


def test_members_that_see_pictures_at_other_sizes_are_averaged_too(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [lr.load(checkpoint), lr.load(checkpoint)]
    assert all(isinstance(member, lr.ClassificationModule) for member in members)
    members[1].judged_input = replace(members[1].input_judged, image_size=48)
    ensemble = lr.EnsembleClassifier(members)
    monkeypatch.setattr(network, "load_classifier", lambda path, **given: ensemble)
    pictures = [encoded(noise(i)) for i in range(4)]
    expected = ensemble.predict(pictures)
    with InThread(checkpoint, batch_wait_ms=100) as served, ThreadPoolExecutor(4) as clients:
        for found, answer in zip(expected, clients.map(lambda one: served.ask(body=one), pictures), strict=True):
            np.testing.assert_allclose(list(answer.said["probabilities"].values()), found.probabilities, atol=1e-5)


def test_with_several_labels_a_picture_all_of_them_are_named() -> None:
    model = classifier(task="multilabel", num_classes=3, class_names=["cat", "dog|wolf", "hat"])
    said = answer_of(torch.tensor([0.5, 0.2, 0.9]), model, top=2)
    assert said["labels"] == ["cat", "hat"]
    assert list(said["probabilities"]) == ["hat", "cat"]
    assert "label" not in said
    assert answer_of(torch.tensor([0.1, 0.2, 0.3]), model, None)["labels"] == []


def test_a_picture_that_is_less_probable_than_wanted_has_no_label(checkpoint: Path, model: Evaluator) -> None:
    pictures = [encoded(noise(i)) for i in range(6)]
    sure = [found.probability for found in model.predict(pictures)]
    below = sum(sure) / len(sure)
    with InThread(checkpoint, reject_below=below) as served:
        for picture, probability in zip(pictures, sure, strict=True):
            said = served.ask(body=picture).said
            assert (said["label"] is None) == (probability < below)
            assert said["probability"] == pytest.approx(probability, abs=1e-5)
