"""Shards against Python's own tarfile, against WebDataset's rule of what a sample is, and against the folder."""

import io
import multiprocessing
import os
import pickle
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightning_recipes.data.sources import byte_ranges
from lightning_recipes.data.sources.archive import Zip
from lightning_recipes.data.sources.checks import look_over
from lightning_recipes.data.sources.files import FileSource, FileTree
from lightning_recipes.data.sources.index_shards import index_shards
from lightning_recipes.data.sources.open import open_parts, open_splits, open_tree, read_parts
from lightning_recipes.data.sources.shard_index import INDEX
from lightning_recipes.data.sources.shards import Shards
from lightning_recipes.data.sources.unlabelled import open_unlabelled
from lightning_recipes.data.sources.write_shards import Stored, write_shards
from lightning_recipes.errors import UserError
from tests.pictures import stored

SAMPLE = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")
"""What WebDataset splits a name in a tar into: the key of a sample, and the kind of file (its tariterators.py)."""
ODD = {
    "with two spaces": "a  b.jpg",
    "unicode": "Übergröße-蟻.jpg",
    "longer than a header": "n" * 150 + ".jpg",
    "no text": os.fsdecode(b"caf\xe9.jpg"),
    "dots": "photo.2024.01.jpg",
    "percent": "100%2E.jpg",
    "no kind in front": "a%-jpg.jpg",
}


def picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), (value % 256, value // 256, 100)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Two splits of two classes, with an odd name of each kind, and names that differ by their kind alone."""
    names = [f"{number}.jpg" for number in range(4)] + ["0.png", "0.JPG", "photo_2024.01.jpg", *ODD.values()]
    paths = [f"train/{label}/{name}" for label in ("ants", "bees") for name in names]
    for value, path in enumerate([*paths, "val/ants/x.jpg", "val/ants/y.jpg", "val/bees/0.jpg"]):
        picture(tmp_path / "folder" / path, value)
    return str(tmp_path / "folder")


@pytest.fixture
def shards(folder: str, tmp_path: Path) -> str:
    """The folder in a few small shards."""
    write_shards(stored(folder), tmp_path / "shards", shard_bytes=20_000, classes=["ants", "bees"])
    return str(tmp_path / "shards")


def read(tree: FileTree, name: str) -> bytes:
    with tree.open(name) as file:
        return file.read()


def contents(part: FileSource) -> list[tuple[str, int, bytes]]:
    return [(path, int(label), read(part.tree, path)) for path, label in zip(part.paths, part.labels, strict=True)]


def same(one: str, other: str) -> None:
    ours, theirs = open_parts(one, "error")[0], open_parts(other, "error")[0]
    assert list(ours) == list(theirs)
    for split, part in ours.items():
        assert part.classes == theirs[split].classes
        assert contents(part) == contents(theirs[split])
        assert np.array_equal(part.read(0), theirs[split].read(0))


def test_pictures_labels_classes_and_paths_are_those_of_the_folder(folder: str, shards: str) -> None:
    same(shards, folder)
    same(os.path.join(shards, INDEX), folder)
    assert os.path.join(shards, "train/ants/0.jpg") == os.path.join(open_tree(shards, "").root, "train/ants/0.jpg")


def test_the_same_without_splits_and_from_a_zip(folder: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for path in sorted(Path(folder, "train").rglob("*.*")):
            if path.name != ODD["no text"]:  # a name that a zip cannot have
                file.write(path, path.relative_to(Path(folder, "train")))
    write_shards(stored(str(tmp_path / "a.zip")), tmp_path / "shards")
    assert sorted(os.listdir(tmp_path / "shards")) == ["images-000000.tar", INDEX]
    same(str(tmp_path / "shards"), str(tmp_path / "a.zip"))


def test_any_tar_reads_them_and_a_sample_is_a_picture_and_its_label(folder: str, shards: str) -> None:
    labels = {str(Path(path)): label for path, label, _ in stored(folder)}
    data = {path: content for path, _, content in stored(folder)}
    samples: dict[str, dict[str, bytes]] = defaultdict(dict)
    files = sorted(Path(shards).glob("*.tar"))
    assert {path.name.split("-")[0] for path in files} == {"train", "val"}
    for path in files:
        with tarfile.open(path) as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.gid, member.mode, member.uname) == (0, 0, 0, 0o644, "")
                file, split = tar.extractfile(member), SAMPLE.match(member.name)
                assert file is not None
                assert split is not None
                assert split[2].lower() not in samples[split[1]], f"{member.name}: two files of one kind in a sample"
                samples[split[1]][split[2].lower()] = file.read()
    assert all(len(sample) == 2 and "cls" in sample for sample in samples.values())
    found = [(content, int(sample["cls"])) for sample in samples.values() for kind, content in sample.items()
             if kind != "cls"]  # fmt: skip
    assert sorted(found) == sorted((data[path], label) for path, label in labels.items())


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar")
def test_tar_lists_them_without_a_word(shards: str) -> None:
    for path in sorted(Path(shards).glob("*.tar")):
        listed = subprocess.run(["tar", "tf", str(path)], capture_output=True, env={"LC_ALL": "C.UTF-8"}, check=True)
        # It tells that a name which is no text is marked as such, and reads it.
        assert all(b"hdrcharset" in line for line in listed.stderr.splitlines())
        assert b".cls" in listed.stdout


def test_the_same_pictures_give_the_same_bytes_in_files_no_larger_than_said(
    folder: str, shards: str, tmp_path: Path
) -> None:
    write_shards(stored(folder), tmp_path / "again", shard_bytes=20_000, classes=["ants", "bees"])
    for path in Path(shards).iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    sizes = [path.stat().st_size for path in Path(shards).glob("train-*.tar")]
    assert len(sizes) > 1
    assert max(sizes) <= 20_000
    write_shards(stored(folder), tmp_path / "single", shard_bytes=1)
    assert len(list((tmp_path / "single").glob("train-*.tar"))) == len(read_parts(folder)["train"])
    same(str(tmp_path / "single"), folder)
    write_shards(reversed(list(stored(folder))), tmp_path / "reversed")
    same(str(tmp_path / "reversed"), folder)


def test_a_group_and_folds_are_drawn_as_of_the_folder(folder: str, tmp_path: Path) -> None:
    train = os.path.join(folder, "train")
    write_shards(stored(train), tmp_path / "shards")
    for options in ({"group": "(.)[.]"}, {"folds": 3, "fold": 1}, {"images_per_class": 2}):
        ours, theirs = (open_splits(root, **options).splits for root in (str(tmp_path / "shards"), train))
        assert list(ours.train.paths) == list(theirs.train.paths)
        assert list(ours.val.paths) == list(theirs.val.paths)
    assert list(open_unlabelled(tmp_path / "shards")[0].paths) == list(open_unlabelled(train)[0].paths)


def first_of(shards: str) -> Path:
    return Path(shards, "train-000000.tar")


def test_a_damaged_picture_is_an_error_of_that_picture_alone(shards: str) -> None:
    part = read_parts(shards)["train"]
    data = part.tree.open("train/ants/1.jpg").read()
    (path,) = (path for path in Path(shards).glob("*.tar") if data in path.read_bytes())
    path.write_bytes(path.read_bytes().replace(data, b"?" + data[1:]))
    part = open_parts(shards, "error")[0]["train"]  # at the start no picture is read
    with pytest.raises(UserError, match=rf"train/ants/1\.jpg: cannot be read \(damaged in the shard {path.name}\)"):
        part.read(list(part.paths).index("train/ants/1.jpg"))
    assert part.read(list(part.paths).index("train/ants/2.jpg")).shape == (10, 12, 3)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda path: path.unlink(), r"train-000000\.tar: is not there, and the index names it"),
        (lambda path: path.write_bytes(path.read_bytes()[:-512]), r"train-000000\.tar: has 19,968 bytes, and 20,480"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), r"train-000000\.tar: has 20,481 bytes"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_shard_that_is_not_as_the_index_says_is_named(
    folder: str, tmp_path: Path, change: Callable[[Path], None], text: str, prefix: str
) -> None:
    write_shards(stored(folder), tmp_path / "shards", shard_bytes=20_480)
    change(first_of(str(tmp_path / "shards")))
    with pytest.raises(UserError, match=text):
        Shards(f"{prefix}{tmp_path}/shards")


def test_the_index_needs_no_pickle_and_one_that_is_damaged_is_named(shards: str) -> None:
    path = Path(shards, INDEX)
    with np.load(path, allow_pickle=False) as stored_arrays:
        arrays = dict(stored_arrays)
    assert all(array.dtype != object for array in arrays.values())
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no index", pickle.dumps({})):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=rf"{INDEX}: is not a whole index of shards"):
            Shards(shards)
    for changed in ({"shard_bytes": arrays["shard_bytes"] // 2}, {"shards": np.char.add("../", arrays["shards"])}):
        with path.open("wb") as file:
            np.savez(file, **{**arrays, **changed})
        with pytest.raises(UserError, match="its parts do not agree"):
            Shards(shards)
    with path.open("wb") as file:
        np.savez(file, **{**arrays, "version": np.array(99)})
    with pytest.raises(UserError, match="written by a later version"):
        Shards(shards)


def test_a_picture_that_is_not_whole_is_told_as_of_the_folder(folder: str, tmp_path: Path) -> None:
    for name, data in {"cut.jpg": Path(folder, "train/ants/1.jpg").read_bytes()[:-50], "empty.png": b""}.items():
        Path(folder, "train/bees", name).write_bytes(data)
    write_shards(stored(folder), tmp_path / "shards")
    assert look_over(read_parts(str(tmp_path / "shards"))["train"]) == look_over(read_parts(folder)["train"])
    (kept, skipped), (kept_of_folder, skipped_of_folder) = (
        open_parts(root, "skip") for root in (str(tmp_path / "shards"), folder)
    )
    assert skipped == skipped_of_folder
    assert len(skipped) == 2
    assert contents(kept["train"]) == contents(kept_of_folder["train"])
    with pytest.raises(
        UserError, match=r"2 files are no whole picture .*train/bees/cut\.jpg \(.*train/bees/empty\.png \(empty\)"
    ):
        open_parts(str(tmp_path / "shards"), "error")


def test_deep_and_very_large_pictures_are_warned_of_as_in_the_folder(folder: str, tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(os.path.join(folder, "train/ants/deep.png"))
    Image.new("1", (20_000, 6_000)).save(os.path.join(folder, "train/ants/large.png"))
    write_shards(stored(folder), tmp_path / "shards")
    said = []
    for root in (folder, str(tmp_path / "shards")):
        with pytest.warns(UserWarning, match="picture has|picture is") as warned:
            open_parts(root, "error")
        said.append([str(one.message) for one in warned])
    assert said[0] == said[1]
    assert len(said[0]) == 2


def read_often(tree: Shards | Zip, names: list[str], expected: list[bytes]) -> bool:
    return all(tree.open(name).read() == data for _ in range(5) for name, data in zip(names, expected, strict=True))


def shard_each(folder: Path, count: int) -> tuple[Shards, list[str], list[bytes]]:
    """Write so many shards of one picture each."""
    names, data = [f"ants/{number}.jpg" for number in range(count)], [os.urandom(3000) for _ in range(count)]
    write_shards((Stored(n, 0, d) for n, d in zip(names, data, strict=True)), folder, shard_bytes=1)
    return Shards(str(folder)), names, data


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_many_shards_are_read_by_threads_with_few_of_them_open(tmp_path: Path) -> None:
    tree, names, data = shard_each(tmp_path / "shards", 140)
    before = open_files()
    with ThreadPoolExecutor(4) as threads:
        starts = range(0, 140, 35)
        assert all(threads.map(read_often, [tree] * 4, [names[n:] for n in starts], [data[n:] for n in starts]))
    assert open_files() - before <= byte_ranges.OPEN_AT_ONCE
    del tree
    assert open_files() <= before


def in_a_fork(do: Callable[[], object]) -> object:
    """Return what a forked process makes of what it inherits, without pickling it."""
    fork = multiprocessing.get_context("fork")
    mine, its = fork.Pipe(duplex=False)
    process = fork.Process(target=lambda: its.send(do()))
    process.start()
    its.close()
    try:
        assert mine.poll(30), "the forked process waits for ever"
        return mine.recv()
    finally:
        process.kill()
        process.join()
        mine.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*multi-threaded, use of fork.*")
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_forked_process_reads_the_same(tmp_path: Path, prefix: str) -> None:
    _, names, data = shard_each(tmp_path / "shards", 3)
    tree = Shards(f"{prefix}{tmp_path}/shards")
    assert read_often(tree, names, data)
    assert read_often(pickle.loads(pickle.dumps(tree)), names, data)
    assert in_a_fork(lambda: read_often(tree, names, data))


@pytest.mark.slow
def test_a_spawned_process_reads_the_same(tmp_path: Path) -> None:
    _, names, data = shard_each(tmp_path / "shards", 3)
    tree = Shards(f"file://{tmp_path}/shards")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(read_often, tree, names, data).result()


def test_shards_below_a_url_are_those_of_the_folder(folder: str, shards: str) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(shards, "/bucket/shards", recursive=True)
    try:
        same("memory://bucket/shards", folder)
        same(f"memory://bucket/shards/{INDEX}", folder)
    finally:
        memory.rm("/bucket", recursive=True)
    same(f"file://{shards}", folder)


class Server(BaseHTTPRequestHandler):
    """Gives files of a folder, whole or by byte ranges, and fails now and then."""

    folder: str
    ranges = True
    failures = 0

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path, asked = Path(self.folder + self.path), self.headers.get("Range")
        if not path.is_file():
            self.send_error(404)
            return
        if asked and type(self).failures > 0:
            type(self).failures -= 1
            self.send_error(503)
            return
        data, code = path.read_bytes(), 200
        if asked and self.ranges:
            start, end = asked.removeprefix("bytes=").split("-")
            data, code = data[int(start) : int(end) + 1], 206
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(shards: str) -> Iterator[tuple[str, type[Server]]]:
    """The URL of the shards, and what serves them."""
    pytest.importorskip("aiohttp")
    served = type("Served", (Server,), {"folder": shards})
    with ThreadingHTTPServer(("127.0.0.1", 0), served) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", served
        listening.shutdown()


def contents_of(tree: Shards) -> dict[str, bytes]:
    return {name: tree.open(name).read() for name in tree.names()}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*multi-threaded, use of fork.*")
def test_a_web_server_is_read_by_ranges_also_after_a_fork(shards: str, server: tuple[str, type[Server]]) -> None:
    tree, expected = Shards(server[0]), contents_of(Shards(shards))
    assert contents_of(tree) == expected
    assert in_a_fork(lambda: contents_of(tree)) == expected
    assert contents_of(tree) == expected


def test_what_a_web_server_cannot_do_is_said(server: tuple[str, type[Server]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_ranges, "WAITS", (0.0, 0.0))
    url, served = server
    tree = Shards(url)
    served.failures = 2
    assert tree.open("train/ants/1.jpg").read()[:2] == b"\xff\xd8"  # at the third try
    served.failures = 3
    with pytest.raises(OSError, match="503"):
        tree.open("train/ants/1.jpg")
    served.ranges = False
    with pytest.raises(OSError, match="it has to know byte ranges"):
        tree.open("train/ants/1.jpg")
    with pytest.raises(UserError, match=rf"data\.root: '{url}/none' has no {INDEX}; give a folder of shards"):
        open_parts(f"{url}/none", "error")
    first_of(served.folder).unlink()
    with pytest.raises(UserError, match=r"train-000000\.tar: is not there, and the index names it"):
        Shards(url)


@pytest.mark.parametrize(
    ("root", "text"),
    [
        ("memory://nothing", rf"data\.root: 'memory://nothing' has no {INDEX}; give a folder of shards"),
        ("s3://bucket/shards", r"data\.root: 's3://bucket/shards' cannot be read \(Install s3fs to access S3\)"),
        ("none://bucket", r"data\.root: 'none://bucket' cannot be read \(Protocol not known: none\)"),
        ("http://127.0.0.1:1/x", r"http://127\.0\.0\.1:1/x/.*: cannot be read \(Cannot connect"),
    ],
)
def test_a_url_that_cannot_be_read_is_one_line(root: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    with pytest.raises(UserError, match=text) as error:
        open_splits(root)
    assert "\n" not in str(error.value)


def interrupted(pictures: Iterator[Stored]) -> Iterator[Stored]:
    yield next(pictures)
    raise KeyboardInterrupt


def test_a_folder_is_written_whole_or_not_at_all(folder: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "shards"
    with pytest.raises(KeyboardInterrupt):
        write_shards(interrupted(stored(folder)), out)
    assert list(out.parent.iterdir()) == []
    with pytest.raises(UserError, match=r"two pictures are called 'ants/0\.jpg'"):
        write_shards([Stored("ants/0.jpg", 0, b"x"), Stored("ants/0.jpg", 0, b"y")], out)
    assert list(out.parent.iterdir()) == []
    write_shards(stored(folder), out)
    with pytest.raises(UserError, match=r"out_dir: .* exists already; name a new folder"):
        write_shards(stored(folder), out)


def test_a_full_disk_is_one_line_and_leaves_nothing(folder: str, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # as a disk that is full after so many bytes
    try:
        with pytest.raises(UserError, match=r"out_dir: '.*shards' cannot be written \(.*\); make room"):
            write_shards(stored(folder), tmp_path / "out" / "shards")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_index_that_was_lost_is_made_again(shards: str, folder: str) -> None:
    index = Path(shards, INDEX).read_bytes()
    Path(shards, INDEX).unlink()
    with pytest.raises(UserError, match=rf"holds tar files and no {INDEX}; make it in Python: .*index_shards"):
        open_parts(shards, "error")
    index_shards(shards)
    assert Path(shards, INDEX).read_bytes() == index
    same(shards, folder)


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def foreign(folder: Path, pictures: dict[str, bytes], labels: dict[str, int]) -> None:
    """Write tars as others do: loose keys, a label and what else belongs to a sample beside each picture."""
    folder.mkdir()
    for split, keys in {"train": sorted(pictures)[:-2], "val": sorted(pictures)[-2:]}.items():
        with tarfile.open(folder / f"birds-{split}-0000.tar", "w", format=tarfile.GNU_FORMAT) as tar:
            for key in keys:
                add(tar, f"./{key}.json", b"{}")
                if key in labels:
                    add(tar, f"./{key}.cls", b"%d\n" % labels[key])
                add(tar, f"./{key}.jpg", pictures[key])


def test_tars_of_others_are_indexed_by_their_labels(folder: str, tmp_path: Path) -> None:
    data = Path(folder, "train/ants/1.jpg").read_bytes()
    pictures, labels = {f"{n:04d}": data for n in range(8)}, {f"{n:04d}": (0, 11)[n % 2] for n in range(8)}
    foreign(tmp_path / "tars", pictures, labels)
    before = {path.name: path.read_bytes() for path in (tmp_path / "tars").iterdir()}
    index_shards(tmp_path / "tars")
    parts = open_parts(str(tmp_path / "tars"), "error")[0]
    assert parts["train"].classes == ("00", "11")
    assert list(parts["val"].paths) == ["val/00/0006.jpg", "val/11/0007.jpg"]
    assert parts["train"].tree.open("train/11/0001.jpg").read() == data
    (tmp_path / "tars" / "classes.txt").write_text("\n".join(["wren", *"abcdefghij", "crow"]))
    index_shards(tmp_path / "tars")
    parts = open_parts(str(tmp_path / "tars"), "error")[0]
    assert parts["train"].classes == ("crow", "wren")
    assert parts["train"].labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert {name: (tmp_path / "tars" / name).read_bytes() for name in before} == before
    (tmp_path / "tars" / "classes.txt").write_text("wren\ncrow\n")
    with pytest.raises(UserError, match=r"classes\.txt: has 2 lines, and a \.cls holds 11"):
        index_shards(tmp_path / "tars")


def test_tars_without_labels_or_cut_short_are_named(folder: str, tmp_path: Path) -> None:
    data = Path(folder, "train/ants/1.jpg").read_bytes()
    foreign(tmp_path / "tars", dict.fromkeys("abcd", data), {"a": 0, "b": 1})
    with pytest.raises(UserError, match=r"'c\.jpg' lies in no class folder and has no \.cls"):
        index_shards(tmp_path / "tars")
    path = tmp_path / "tars" / "birds-train-0000.tar"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"birds-train-0000\.tar: is not a whole tar"):
        index_shards(tmp_path / "tars")
    assert not (tmp_path / "tars" / INDEX).exists()
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"none: has no \.tar"):
        index_shards(tmp_path / "none")
