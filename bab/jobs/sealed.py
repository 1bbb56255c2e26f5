"""Files that are whole or refused: an npz of plain arrays, with a JSON header and a checksum of everything.

    header   bytes of JSON: format, version, kind, content, and of every array its SHA-256 and its size
    seal     the header's SHA-256
    pieces   files of their own, of nodes that wait on the disk, by their SHA-256; read one by one
    others   columns of numbers, stored as they are

Nothing is unpickled, and nothing is unpacked: what is read is never more than the file is long. A file is written
beside its place, flushed to the disk, and then renamed, so at any time its place holds a whole one: the old or the new.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...instances import memory
from ...instances.errors import InputError
from ...instances.network import Array
from .records import KINDS

__all__ = ["BEFORE", "VERSION", "Sealed", "read_piece", "read_sealed", "sealed_bytes", "sealed_of", "write_sealed"]

FORMAT, VERSION = "hypersplit jobs", 2
HEADER, SEAL, PIECE = "header", "seal", ".job"
BEFORE, NEW = ".before", ".new"  # behind a file's name: the one that it replaces, the one that is being written
MOST_HEADER = 2**30  # bytes
# what reading a damaged file may raise on the way; RuntimeError is zipfile's word for encrypted members, and a
# child of it that for patched ones and later versions of the format, which a flipped bit may claim
DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, TypeError, LookupError, EOFError,
    OverflowError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sealed:
    """What a file holds."""

    kind: str
    content: Any  # plain data of JSON
    arrays: dict[str, Array]  # [numbers] each
    pieces: dict[str, Callable[[], bytes]] = field(default_factory=dict)  # by their SHA-256


def write_sealed(path: Path, sealed: Sealed) -> None:
    """Put a file in its place; what was there before is still there where that fails.

    Raises OSError, and InputError where a piece is missing or damaged.
    """
    path = path.resolve()  # a link stays one
    fresh = path.with_name(path.name + NEW)
    try:
        with open(fresh, "wb") as file:
            _write(file, sealed)
            file.flush()
            os.fsync(file.fileno())
        _put(fresh, path)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _write(file: IO[bytes], sealed: Sealed) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        known = {name: _add(archive, name, array) for name, array in sealed.arrays.items()}
        for name, piece in sealed.pieces.items():
            archive.writestr(zipfile.ZipInfo(name + PIECE), piece())
        told = {"format": FORMAT, "version": VERSION, "kind": sealed.kind, "arrays": known, "pieces": [*sealed.pieces]}
        header = json.dumps(told | {"content": sealed.content}).encode()
        _add(archive, HEADER, np.frombuffer(header, dtype=np.uint8))
        _add(archive, SEAL, np.frombuffer(hashlib.sha256(header).digest(), dtype=np.uint8))


def sealed_bytes(sealed: Sealed) -> bytes:
    """The bytes that its file would have, for what travels without one."""
    file = io.BytesIO()
    _write(file, sealed)
    return file.getvalue()


def sealed_of(data: bytes, kind: str, who: str) -> Sealed:
    """What such bytes hold. who: said of them where they are wrong.

    Raises InputError where they are damaged, of another version, or of another kind.
    """
    try:
        return _read(io.BytesIO(data), len(data), who, (kind,))
    except DAMAGE as error:
        raise InputError(f"{who}: damaged ({type(error).__name__}: {error})") from error


def _add(archive: zipfile.ZipFile, name: str, array: Array) -> list[Any]:
    """Write an array; returns [SHA-256, bytes] of its member."""
    data = io.BytesIO()
    np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
    archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getbuffer())
    return [hashlib.sha256(data.getbuffer()).hexdigest(), data.tell()]


def _put(fresh: Path, path: Path) -> None:
    """Rename; the one that is replaced keeps a name of its own until the new one is on the disk."""
    before = path.with_name(path.name + BEFORE)
    if path.exists():
        before.unlink(missing_ok=True)
        try:
            os.link(path, before)
        except OSError:  # a file system without second names
            os.replace(path, before)
    os.replace(fresh, path)
    with suppress(OSError):  # some systems cannot open folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    before.unlink(missing_ok=True)


def read_sealed(path: Path, kinds: tuple[str, ...]) -> Sealed:
    """The file, or where only its predecessor is left, that one.

    Raises InputError where there is none, it is damaged, of another version, or of none of the `kinds`.
    """
    before = path.with_name(path.name + BEFORE)
    chosen = path if path.exists() or not before.exists() else before
    try:
        with open(chosen, "rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size, str(chosen), kinds)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{chosen}: cannot be read: {error.strerror or error}") from error
    except DAMAGE as error:
        raise InputError(f"{chosen}: damaged, or no file of jobs ({type(error).__name__}: {error})") from error


def _read(file: IO[bytes], size: int, path: str, kinds: tuple[str, ...]) -> Sealed:
    with zipfile.ZipFile(file) as archive:
        seal, header = (_member(archive, f"{name}.npy", size) for name in (SEAL, HEADER))
        text = _array(header).tobytes()
        if len(text) > MOST_HEADER or _array(seal).tobytes() != hashlib.sha256(text).digest():
            raise ValueError("the header is not what its seal says")
        told = json.loads(text)
        if told["format"] != FORMAT or told["version"] != VERSION:
            raise InputError(f"{path}: {told['format']}, version {told['version']}; expected {FORMAT}, {VERSION}")
        if told["kind"] not in kinds:
            raise InputError(f"{path}: holds a {told['kind']}, expected a {' or a '.join(kinds)}")
        for name in told["pieces"]:
            _piece(archive, name, size)
        pieces: dict[str, Callable[[], bytes]] = {}
        pieces.update((name, partial(read_piece, Path(path), name)) for name in told["pieces"])
        return Sealed(told["kind"], told["content"], dict(_arrays(archive, told["arrays"], size)), pieces)


def read_piece(path: Path, name: str) -> bytes:
    """One of a file's pieces. Raises InputError where it is not there, or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _piece(archive, name, os.fstat(archive.fp.fileno()).st_size if archive.fp else 0)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except DAMAGE as error:
        raise InputError(f"{path}: damaged, or without some nodes ({type(error).__name__}: {error})") from error


def _piece(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    data = _member(archive, name + PIECE, size)
    if hashlib.sha256(data).hexdigest() != name:
        raise ValueError(f"{name} is not what its checksum says")
    return data


def _arrays(archive: zipfile.ZipFile, known: dict[str, list[Any]], size: int) -> Any:
    if sum(count for _, count in known.values()) > size:
        raise ValueError("more is announced than the file is long")
    memory.claim(2e-6 * sum(count for _, count in known.values()))
    for name, (digest, count) in known.items():
        data = _member(archive, f"{name}.npy", size)
        if len(data) != count or hashlib.sha256(data).hexdigest() != digest:
            raise ValueError(f"{name} is not what its checksum says")
        yield name, _array(data)


def _member(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """A member's bytes, which are no more than the file's."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.file_size > size:
        raise ValueError(f"{name} is not stored as it is")
    return archive.read(info)


def _array(data: bytes) -> Array:
    """The numbers of an npy file, whose head announces as many as there are."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array of another version")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in KINDS or len(shape) != 1 or shape[0] * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"an array of {dtype}, shape {shape}, in {len(data) - file.tell()} bytes")
    file.seek(0)
    return np.asarray(np.load(file, allow_pickle=False))
