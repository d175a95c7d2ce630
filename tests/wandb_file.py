"""What W&B wrote to an offline run, read back: its log of records, by its own schema.

W&B 0.31 reads the file in a program of its own and no longer in Python, so the framing (LevelDB's log format: blocks of
32 KiB, records of a checksum, a length and a kind) is taken apart here; the records are W&B's own protobuf messages.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from google.protobuf.message import DecodeError
from wandb.proto import wandb_internal_pb2

BLOCK, FRAME, HEADER = 32768, 7, 7


@dataclass
class OfflineRun:
    run_id: str = ""
    name: str = ""
    project: str = ""
    group: str = ""
    exit_code: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[tuple[str, list[str], list[str]]] = field(default_factory=list)  # name, aliases, files

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.history if name in row]


def _messages(data: bytes) -> Iterator[bytes]:
    place, parts = HEADER, b""
    while place + FRAME <= len(data):
        if BLOCK - place % BLOCK < FRAME:
            place += BLOCK - place % BLOCK
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        parts += data[place + FRAME : place + FRAME + length]
        place += FRAME + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def _items(items: Any) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def read_offline_run(folder: Path) -> OfflineRun:
    """Read ``offline-run-...``."""
    found, schema = OfflineRun(), cast(Any, wandb_internal_pb2)
    content = b"".join(
        path.read_bytes() for path in folder.glob("run-*.wandb")
    )  # of the one that there is, or none yet
    for message in _messages(content):
        try:
            record = schema.Record.FromString(message)
        except DecodeError:  # cut short
            break
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run_id, found.name, found.project = record.run.run_id, record.run.display_name, record.run.project
            found.group = record.run.run_group
            found.config |= _items(record.run.config.update)
        elif kind == "config":
            found.config |= _items(record.config.update)
        elif kind == "summary":
            found.summary |= _items(record.summary.update)
        elif kind == "history":
            found.history.append(_items(record.history.item))
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
        elif kind == "artifact":
            artifact = record.artifact
            files = [entry.path for entry in artifact.manifest.contents]
            found.artifacts.append((artifact.name, list(artifact.aliases), files))
    return found


def sessions(run_folder: Path) -> list[OfflineRun]:
    """Read all sessions of a run, the first first; W&B writes the end of a file a moment after it has said so."""
    folders, deadline = sorted((run_folder / "wandb").glob("offline-run-*")), time.monotonic() + 10
    while time.monotonic() < deadline and any(read_offline_run(folder).exit_code is None for folder in folders):
        time.sleep(0.1)
    return [read_offline_run(folder) for folder in folders]
