"""Opening the files of an instance: `NAME` if it exists, else `NAME.gz`, as VNN-COMP's lists name them."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from .errors import InputError

__all__ = ["foreign", "open_text", "read_model_bytes", "spare"]

_FOREIGN = {  # by how they begin, what files are that are taken for networks and properties
    b"\x1f\x8b": "it is gzipped; its name has to end in .gz",
    b"version https://git-lfs": "it is a pointer of Git LFS; fetch the file that it stands for",
    b"PK\x03\x04": "it is a zip archive, as PyTorch and Keras save models; export the model to ONNX",
    b"\x89HDF": "it is an HDF5 file, as Keras saves models; export the model to ONNX",
    b"<!DOCTYPE": "it is a web page",
    b"<html": "it is a web page",
}


def read_model_bytes(path: str | Path) -> bytes:
    """All bytes of a file, unpacked if it is gzipped.

    Raises InputError, naming the path, where neither `path` nor `path`.gz exists or can be read.
    """
    plain = Path(path)
    packed = plain.parent / f"{plain.name}.gz"  # also of ".", which has no name
    chosen = plain if plain.exists() or not packed.exists() else packed
    try:
        data = chosen.read_bytes()
        return gzip.decompress(data) if chosen.suffix == ".gz" else data
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file, and no {packed.name} beside it") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{chosen}: cannot be read ({error})") from error


def foreign(data: bytes) -> str:
    """What else a file is that is neither network nor property, "" where that is not known."""
    return next((words for start, words in _FOREIGN.items() if data.startswith(start)), "")


def open_text(path: str | Path) -> TextIO:
    """A text file, found and unpacked by the same rule, ready to read; line ends come as newlines.

    UTF-8, or UTF-16 where the file begins with its byte-order mark. Raises InputError, naming the path, where it is
    missing or something else.
    """
    data = read_model_bytes(path)
    if words := foreign(data):
        raise InputError(f"{path}: not a text file: {words}")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return io.StringIO(data.decode("utf-16" if wide else "utf-8-sig"), newline=None)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file ({error})") from error


def spare(inputs: Iterable[str | Path], outputs: Mapping[str, Path]) -> None:
    """Refuse to write over what is to be read, or two things into one file.

    outputs: the files to be written, by what goes into them. Raises InputError.
    """
    read = [Path(f"{path}{ending}") for path in inputs for ending in ("", ".gz")]
    taken: dict[str, str] = {}
    for name, path in outputs.items():
        if path.exists() and any(other.exists() and os.path.samefile(path, other) for other in read):
            raise InputError(f"{path}: is an input, choose another file to write to")
        other = taken.setdefault(os.path.realpath(path), name)
        if other != name and not (path.exists() and not path.is_file()):  # devices hold nothing to lose
            raise InputError(f"{path}: named for the {other} and the {name}, choose two files")
