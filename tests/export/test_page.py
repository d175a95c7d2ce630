"""The page in a real browser, from a plain file server."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
from PIL import Image

from lightning_recipes.errors import UserError
from lightning_recipes.export.export import export
from lightning_recipes.export.page import RUNTIME
from tests.export.test_export import classifier
from tests.export.test_picture_input import smooth

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DIST = Path(os.environ.get("ONNXRUNTIME_WEB", "/nowhere"))
ASKS = """<!doctype html><body><script type="module">
  const frame = document.createElement("iframe");
  frame.src = "index.html"; document.body.append(frame);
  while (!frame.contentWindow.classify) await new Promise(resolve => setTimeout(resolve, 50));
  const found = [];
  for (const name of NAMES) found.push(await frame.contentWindow.classify(name));
  await fetch("found", { method: "POST", body: JSON.stringify(found) });
</script>"""


@contextmanager
def served(folder: Path, answers: "Queue[str]") -> Iterator[str]:
    """Serve files, and put what is posted into a queue."""

    class Handler(SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            answers.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.skipif(not DIST.is_dir(), reason="ONNXRUNTIME_WEB does not name the folder dist of onnxruntime-web")
def test_a_browser_says_what_python_says(tmp_path: Path) -> None:
    model, folder = classifier(), tmp_path / "site"
    export(model, folder, source=None, page=DIST)
    names = []
    for number, (height, width) in enumerate([(60, 90), (200, 50), (33, 33)]):
        picture = Image.fromarray(smooth(height, width, number))
        for suffix in ("png", "jpg"):
            names.append(f"{number}.{suffix}")
            picture.save(folder / names[-1], quality=95)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(smooth(60, 90)).save(folder / "turned.jpg", exif=turned, quality=95)
    names.append("turned.jpg")
    (folder / "asks.html").write_text(ASKS.replace("NAMES", json.dumps(names)))
    assert CHROMIUM is not None
    answers: Queue[str] = Queue()
    with served(folder, answers) as address:
        words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        with subprocess.Popen([CHROMIUM, *words, f"{address}/asks.html"], stderr=subprocess.DEVNULL) as browser:
            try:
                found = json.loads(answers.get(timeout=100))
            finally:
                browser.kill()
    said = [one.probabilities for one in model.predict([folder / name for name in names])]
    np.testing.assert_allclose(found, said, atol=1e-3)


def test_a_folder_without_the_runtime_is_refused(tmp_path: Path) -> None:
    (tmp_path / RUNTIME[0]).touch()
    with pytest.raises(UserError, match=r"page: .* has no ort-wasm-simd-threaded.mjs; npm install onnxruntime-web"):
        export(classifier(), tmp_path / "site", source=None, page=tmp_path)
    assert not (tmp_path / "site").exists()
