"""A folder of timm's in a repository of the hub, by a server that takes what the hub's client sends."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from lightning_recipes.__main__ import main
from lightning_recipes.export.model_card import model_card
from lightning_recipes.run.reader import RunContents
from tests.small import classifier, digits, fit


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does, and keeps what is committed."""

    made: ClassVar[list[dict[str, Any]]] = []
    files: ClassVar[dict[str, bytes]] = {}
    at: ClassVar[str] = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        said: dict[str, Any] = {}
        if self.path == "/api/repos/create":
            self.made.append(json.loads(body))
            said = {"url": f"{self.at}/me/digits", "id": "me/digits"}
        elif self.path == "/api/models/me/digits/preupload/main":
            names = [file["path"] for file in json.loads(body)["files"]]
            said = {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
        elif self.path == "/api/models/me/digits/commit/main":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            said = {"commitUrl": f"{self.at}/me/digits/commit/1", "commitOid": "1"}
        answer = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Hub.at = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", Hub.at)
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_what_is_in_the_repository_is_the_folder_and_a_hub_that_is_away_costs_nothing(
    hub: ThreadingHTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trainer, _ = fit(classifier(), digits(), max_epochs=1)
    trainer.save_checkpoint("best.ckpt")
    words = ["export", "--ckpt_path", "best.ckpt", "--to", "hub", "--license", "mit", "--prove", "false"]
    for more, said in (
        (["--out", "it"], "repo: the hub needs the name of a repository; give --repo OWNER/NAME"),
        (["--out", "it", "--repo", "a/b/c"], "repo: 'a/b/c' is no name of a repository"),
    ):
        assert main([*words, *more]) == 2
        assert said in capsys.readouterr().err
        assert not Path("it").exists()
    assert main([*words, "--out", "it", "--repo", "me/digits"]) == 0
    assert f"{Hub.at}/me/digits" in capsys.readouterr().out
    assert (Hub.made[-1]["name"], Hub.made[-1]["organization"]) == ("digits", "me")
    assert {name: Path("it", name).read_bytes() for name in Hub.files} == Hub.files
    assert set(Hub.files) == {"README.md", "config.json", "export.json", "model.safetensors"}
    head = yaml.safe_load(Hub.files["README.md"].decode().split("---")[1])
    assert (head["license"], head["library_name"]) == ("mit", "timm")
    hub.shutdown()
    hub.server_close()
    assert main([*words, "--out", "again", "--repo", "me/digits"]) == 2
    assert "again is whole: hf upload me/digits again" in capsys.readouterr().err
    assert sorted(path.name for path in Path("again").iterdir()) == sorted(Hub.files)


def test_a_card_claims_nothing_that_was_not_said_or_measured(tmp_path: Path) -> None:
    card = model_card("it", "local-dir:it", [f"c{i}" for i in range(25)], RunContents(tmp_path), None)
    head = yaml.safe_load(card.split("---")[1])
    assert "license" not in head
    assert "model-index" not in head
    assert "25 classes apart: c0, c1" in card
    assert "and 5 more" in card
    reached = {"val_accuracy": 0.9, "val_accuracy_ci95": [0.85, 0.94], "val_images": 100}
    (tmp_path / "summary.json").write_text(json.dumps(reached))
    card = model_card("it", "local-dir:it", ["a", "b"], RunContents(tmp_path), "mit")
    assert yaml.safe_load(card.split("---")[1])["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.9
    assert "Validation accuracy 90.0 % (95 % interval 85.0 to 94.0 %), of 100 images" in card
