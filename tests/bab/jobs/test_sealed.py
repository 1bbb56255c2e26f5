"""Files of jobs: whole or refused, whatever happens to them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from job_problems import PLAIN, files

import hypersplit
from hypersplit.bab.jobs import sealed as module
from hypersplit.bab.jobs.records import Columns, packed
from hypersplit.bab.jobs.saved import load
from hypersplit.bab.jobs.sealed import Sealed, read_sealed, write_sealed
from hypersplit.instances.errors import InputError


def small(path: Path) -> Path:
    """A small file; returns its path."""
    arrays = {"a.f8": np.arange(5.0), "b.b1": np.array([True, False])}
    write_sealed(path, Sealed("checkpoint", {"x": [1, 2]}, arrays))
    return path


def same(path: Path) -> bool:
    """Whether the small file still holds what it did."""
    found = read_sealed(path, ("checkpoint",))
    return (
        found.kind == "checkpoint" and found.content == {"x": [1, 2]} and sorted(found.arrays) == ["a.f8", "b.b1"]
        and np.array_equal(found.arrays["a.f8"], np.arange(5.0)) and found.arrays["b.b1"].tolist() == [True, False]
    )  # fmt: skip


def refused_or_same(path: Path, data: bytes) -> bool:
    """Write damaged bytes; True if they are refused, False if they hold the same all the same."""
    path.write_bytes(data)
    try:
        assert same(path)
    except InputError as error:
        assert path.name in str(error)
        return True
    return False


def test_files_come_back(tmp_path: Path) -> None:
    """What is written is read, and nothing else lies in the folder afterwards."""
    path = small(tmp_path / "f.job")
    assert same(path)
    small(path)
    assert same(path) and os.listdir(tmp_path) == ["f.job"]


def test_numpy_alone_can_read_them(tmp_path: Path) -> None:
    """An npz without pickles, its header JSON."""
    with np.load(small(tmp_path / "f.job"), allow_pickle=False) as archive:
        assert json.loads(archive["header"].tobytes())["format"] == "hypersplit jobs"
        assert archive["a.f8"].tolist() == list(range(5))


def test_every_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    """Every position of a whole file, its header and directories too, one bit each."""
    path = small(tmp_path / "f.job")
    data = path.read_bytes()
    refused = sum(
        refused_or_same(path, data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :]) for i in range(len(data))
    )
    assert refused > len(data) // 2


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    """Whatever is missing at the end, or all of it."""
    path = small(tmp_path / "f.job")
    data = path.read_bytes()
    assert all(refused_or_same(path, data[:n]) for n in range(len(data)))


def test_random_damage_to_a_checkpoint_is_refused_or_harmless(tmp_path: Path) -> None:
    """Hundreds of flips, holes, truncations and swaps of a real one."""
    network, prop = files(tmp_path)
    path = tmp_path / "c.job"
    assert hypersplit.verify(network, prop, checkpoint=path, **(PLAIN | {"nodes": 30})).verdict == "unknown"
    data, rng = path.read_bytes(), np.random.default_rng(0)

    def content() -> tuple[object, dict[str, bytes]]:
        columns = Columns()
        told = packed(load(path, "checkpoint")[1], columns)
        return told, {name: column.tobytes() for name, column in columns.joined().items()}

    whole, refused = content(), 0
    for number in range(600):
        damaged, i, j = bytearray(data), *sorted(rng.integers(0, len(data), 2).tolist())
        if number % 4 == 0:
            damaged[i] ^= 1 << int(rng.integers(8))
        elif number % 4 == 1:
            damaged[i:j] = bytes(j - i)
        elif number % 4 == 2:
            damaged = damaged[:i] + damaged[j:]
        else:
            damaged[i : i + 64] = damaged[j : j + 64]
        path.write_bytes(damaged)
        try:
            assert content() == whole, number
        except InputError:
            refused += 1
    assert refused > 500


def forged(path: Path, **changes: object) -> None:
    """A file with a right seal and another header."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(arrays["header"].tobytes())
    text = json.dumps(header | changes).encode()
    arrays["header"] = np.frombuffer(text, dtype=np.uint8)
    arrays["seal"] = np.frombuffer(hashlib.sha256(text).digest(), dtype=np.uint8)
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def test_other_versions_and_kinds_are_named(tmp_path: Path) -> None:
    """The message says what was found and what was expected."""
    forged(small(tmp_path / "f.job"), version=99)
    with pytest.raises(InputError, match=f"version 99; expected hypersplit jobs, {module.VERSION}"):
        read_sealed(tmp_path / "f.job", ("checkpoint",))
    small(tmp_path / "f.job")
    with pytest.raises(InputError, match="holds a checkpoint, expected a part"):
        read_sealed(tmp_path / "f.job", ("part",))


def test_sizes_are_looked_at_before_anything_is_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that announces more than there is, a packed member, an array of objects: refused unread."""
    path = small(tmp_path / "f.job")
    forged(path, arrays={"a.f8": ["0" * 64, 10**15]})
    with pytest.raises(InputError, match="more is announced"):
        read_sealed(path, ("checkpoint",))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("seal.npy", bytes(10**7))
    with pytest.raises(InputError, match="not stored"):
        read_sealed(path, ("checkpoint",))
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(ValueError, match="shape"):
        module._array(head.getvalue())


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"text\n" * 100, bytes(5000)])
def test_what_is_no_such_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """Empty ones, empty archives, text, zeros."""
    path = tmp_path / "f.job"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"f\.job"):
        read_sealed(path, ("checkpoint",))


def test_absent_files_and_folders_are_refused(tmp_path: Path) -> None:
    """As any input that cannot be read."""
    for path in (tmp_path / "none.job", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_sealed(path, ("checkpoint",))


@pytest.mark.parametrize("place", ["fsync", "replace", "link"])
def test_the_old_file_stays_until_the_new_one_is_there(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails on the way (a full disk, a kill at any point): the old file is read, or its second name."""
    path = small(tmp_path / "f.job")

    def failing(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, place, failing)
    if place != "link":
        with pytest.raises(OSError):
            write_sealed(path, Sealed("checkpoint", {}, {}))
    else:  # second names are a convenience
        write_sealed(path, Sealed("checkpoint", {"x": [1, 2]}, read_sealed(path, ("checkpoint",)).arrays))
    monkeypatch.undo()
    assert same(path)


def test_the_predecessor_is_read_where_there_is_nothing_else(tmp_path: Path) -> None:
    """After a kill between two renamings."""
    small(tmp_path / "f.job").rename(tmp_path / "f.job.before")
    assert same(tmp_path / "f.job")
