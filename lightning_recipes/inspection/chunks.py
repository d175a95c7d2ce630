"""What was measured of files, kept in chunks that are whole or not there, so that a run that was killed goes on."""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.atomic_io import whole_file

__all__ = ["Chunks"]

ROWS = 2000
SECONDS = 10.0


class Chunks:
    """Rows that are known by the path and the stamp of a file; a chunk is written every so many rows or seconds.

    Args:
        folder: Of the chunk files; made when the first is written.
        kind: What the rows are, with a number that changes when they are measured in another way.
        dtype: Of a row.
    """

    def __init__(self, folder: Path, kind: str, dtype: np.dtype[np.void]) -> None:
        self.folder, self.kind, self.dtype = folder, kind, dtype
        self._records: list[NDArray[np.void]] = []
        self._keys: list[Sequence[str]] = []
        self._notes: list[Any] = []
        self._since = time.monotonic()

    def known(self, wanted: Sequence[tuple[str, str]]) -> dict[int, tuple[np.void, Any]]:
        """Return the rows that are kept of files, by their place in ``wanted``; chunks that serve for none are removed.

        Args:
            wanted: Path and stamp of each file; one without a stamp is not known.
        """
        places = {f"{path}\n{stamp}": place for place, (path, stamp) in enumerate(wanted) if stamp}
        found: dict[int, tuple[np.void, Any]] = {}
        for file in sorted(self.folder.glob(f"{self.kind}-*.npz")):
            keys, records, notes = self._read(file)
            used = [(places[key], row) for row, key in enumerate(keys) if key in places]
            found |= {place: (records[row], notes[row]) for place, row in used}
            if not used:
                file.unlink(missing_ok=True)
        return found

    def _read(self, file: Path) -> tuple[list[str], NDArray[np.void], list[Any]]:
        try:
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as held:
                records, told = held["records"], json.loads(held["told"].tobytes())
                if records.dtype == self.dtype and len(records) == len(told["keys"]):
                    return told["keys"], records, told["notes"]
        except Exception:  # of another version, or not ours
            pass
        return [], np.zeros(0, self.dtype), []

    def add(self, files: Sequence[tuple[str, str]], records: NDArray[np.void], notes: Sequence[Any]) -> None:
        """Keep rows of files; arguments as :meth:`known` gives them back, notes such as JSON holds."""
        self._records.append(records)
        self._keys.append([f"{path}\n{stamp}" for path, stamp in files])
        self._notes.extend(notes)
        if len(self._notes) >= ROWS or time.monotonic() - self._since >= SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet."""
        if self._notes:
            keys = [key for some in self._keys for key in some]
            told = json.dumps({"keys": keys, "notes": self._notes}).encode()
            name = hashlib.blake2b(told, digest_size=8).hexdigest()
            with whole_file(self.folder / f"{self.kind}-{name}.npz") as part, part.open("wb") as file:
                np.savez(file, records=np.concatenate(self._records), told=np.frombuffer(told, np.uint8))
        self._records, self._keys, self._notes, self._since = [], [], [], time.monotonic()
