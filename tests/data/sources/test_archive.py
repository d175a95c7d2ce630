"""Zips read in place, against Python's own zipfile; and zips that cannot be."""

import multiprocessing
import os
import pickle
import struct
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lightning_recipes.data.sources.archive import Zip
from lightning_recipes.errors import UserError

DATA = {"b/2.bin": os.urandom(5000), "a/1.txt": b"one" * 9000, "a/é.txt": b"", "c.txt": b"x"}


def archive(path: Path, method: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in DATA.items():
            file.writestr(name, data)
    return str(path)


def contents(tree: Zip) -> dict[str, bytes]:
    return {name: tree.open(name).read() for name in tree.names()}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("has_pread", [True, False])
def test_stored_and_deflated_files_are_read_back(
    tmp_path: Path, method: int, has_pread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_pread:
        monkeypatch.delattr(os, "pread")  # as on Windows
    tree = Zip(archive(tmp_path / "a.zip", method))
    assert list(tree.names()) == sorted(DATA)
    assert contents(tree) == DATA
    assert contents(pickle.loads(pickle.dumps(tree))) == DATA
    with pytest.raises(FileNotFoundError):
        tree.open("none.txt")


def test_a_zip_behind_other_bytes_is_read_as_zipfile_reads_it(tmp_path: Path) -> None:
    path = Path(archive(tmp_path / "a.zip"))
    path.write_bytes(b"#!/bin/sh unpacks itself\n" + path.read_bytes())
    assert contents(Zip(str(path))) == DATA


def read_often(tree: Zip, name: str) -> bool:
    return all(tree.open(name).read() == DATA[name] for _ in range(200))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns where any library has threads
def test_threads_and_forked_processes_do_not_mix_their_reads(tmp_path: Path) -> None:
    tree = Zip(archive(tmp_path / "a.zip"))
    names = list(DATA) * 2
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(read_often, [tree] * len(names), names))
    pipes = []
    fork = multiprocessing.get_context("fork")
    for name in DATA:
        mine, its = fork.Pipe(duplex=False)
        process = fork.Process(target=lambda name=name, its=its: its.send(read_often(tree, name)))
        process.start()
        pipes.append((mine, process))
    assert all(mine.recv() for mine, _ in pipes)
    for _, process in pipes:
        process.join()


def damaged(data: bytearray, name: bytes) -> bytearray:
    """Turn the first bytes of a packed file."""
    start = data.find(b"PK\3\4", data.find(name) - 30) + 30 + len(name)
    for position in range(start, start + 4):
        data[position] ^= 0xFF
    return data


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_file_is_an_error_of_that_file_alone(tmp_path: Path, method: int) -> None:
    path = Path(archive(tmp_path / "a.zip", method))
    path.write_bytes(damaged(bytearray(path.read_bytes()), b"a/1.txt"))
    tree = Zip(str(path))
    with pytest.raises(OSError, match="damaged in the zip"):
        tree.open("a/1.txt")
    assert tree.open("b/2.bin").read() == DATA["b/2.bin"]


def encrypt(data: bytearray) -> bytearray:
    """Set the flag of a password in every header."""
    for header, flags in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        position = data.find(header)
        while position >= 0:
            data[position + flags] |= 1
            position = data.find(header, position + 4)
    return data


@pytest.mark.parametrize(
    ("method", "change", "text"),
    [
        (zipfile.ZIP_DEFLATED, lambda data: data[: len(data) // 2], "is not a whole zip"),
        (zipfile.ZIP_DEFLATED, lambda data: b"", "is not a whole zip"),
        (zipfile.ZIP_DEFLATED, encrypt, "is encrypted .*; make the zip without a password"),
        (zipfile.ZIP_LZMA, lambda data: data, "is packed by method 14 .*; make the zip again"),
    ],
)
def test_a_zip_that_cannot_be_read_is_named(tmp_path: Path, method: int, change: Any, text: str) -> None:
    path = Path(archive(tmp_path / "a.zip", method))
    path.write_bytes(change(bytearray(path.read_bytes())))
    with pytest.raises(UserError, match=rf"a\.zip: {text}"):
        Zip(str(path))


def test_a_zip_made_on_windows_has_the_same_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("x")
        info.filename = "train\\ants\\1.png"
        file.writestr(info, b"x")
    assert list(Zip(str(tmp_path / "a.zip")).names()) == ["train/ants/1.png"]


def claiming(path: Path, name: bytes, size: int, packed: int | None = None) -> Zip:
    """Let every header of a zip say another size of a file."""
    data = bytearray(path.read_bytes())
    for header, at, length in ((b"PK\1\2", 20, 46), (b"PK\3\4", 18, 30)):
        position = data.find(header)
        while position >= 0:
            if data[position + length :].startswith(name):
                struct.pack_into("<I", data, position + at + 4, size)
                if packed is not None:
                    struct.pack_into("<I", data, position + at, packed)
            position = data.find(header, position + 4)
    path.write_bytes(data)
    return Zip(str(path))


def test_a_file_unpacks_no_further_than_it_says(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb.png", bytes(50_000_000))
    tree = claiming(tmp_path / "a.zip", b"bomb.png", 1000)
    tracemalloc.start()
    with pytest.raises(OSError, match="damaged in the zip"):
        tree.open("bomb.png")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2_000_000


@pytest.mark.parametrize(
    ("method", "size", "packed", "text"),
    [
        (zipfile.ZIP_DEFLATED, 0xFFFFFFF0, None, "4,294,967,280 bytes, more than 4,000,000,000"),
        (zipfile.ZIP_DEFLATED, 3_900_000_000, None, "damaged in the zip"),
        (zipfile.ZIP_DEFLATED, 100, 3_900_000_000, "damaged in the zip"),
        (zipfile.ZIP_STORED, 3_900_000_000, 3_900_000_000, "damaged in the zip"),
        (zipfile.ZIP_STORED, 3_900_000_000, None, "damaged in the zip"),
    ],
)
def test_a_size_that_a_file_does_not_have_takes_no_memory(
    tmp_path: Path, method: int, size: int, packed: int | None, text: str
) -> None:
    archive(tmp_path / "a.zip", method)
    tree = claiming(tmp_path / "a.zip", b"a/1.txt", size, packed)
    tracemalloc.start()
    with pytest.raises(OSError, match=text):
        tree.open("a/1.txt")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2_000_000
    assert tree.open("b/2.bin").read() == DATA["b/2.bin"]


@pytest.mark.parametrize(
    "name", ["../../ants/1.png", "/ants/1.png", "\\ants\\1.png", "./ants/x/../1.png", "ants//1.png"]
)
def test_a_name_is_no_path_of_this_machine(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("x")
        info.filename = name
        file.writestr(info, b"x")
    tree = Zip(str(tmp_path / "a.zip"))
    assert list(tree.names()) == ["ants/1.png"]
    assert tree.open("ants/1.png").read() == b"x"
