"""Files: NAME, else NAME.gz; and nothing that is read is written over."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from hypersplit.instances.errors import InputError
from hypersplit.instances.files import open_text, read_model_bytes, spare


def test_a_name_is_the_file_or_its_packed_twin(tmp_path: Path) -> None:
    """The plain file wins; without it the gzipped one is unpacked, by either name."""
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"packed", mtime=0))
    assert read_model_bytes(tmp_path / "a") == read_model_bytes(tmp_path / "a.gz") == b"packed"
    (tmp_path / "a").write_bytes(b"plain")
    assert read_model_bytes(tmp_path / "a") == b"plain"


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"x" * 99, mtime=0)[:-9], b""])
def test_damaged_archives_are_named(content: bytes, tmp_path: Path) -> None:
    """One line with the path; an empty file unpacks to nothing or is refused, too."""
    path = tmp_path / "b.onnx.gz"
    path.write_bytes(content)
    if not content:
        assert read_model_bytes(path) == b""
        return
    with pytest.raises(InputError, match="b.onnx.gz") as caught:
        read_model_bytes(path)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    """Both names that were looked for are said."""
    with pytest.raises(InputError, match="c.onnx: no such file, and no c.onnx.gz"):
        read_model_bytes(tmp_path / "c.onnx")
    with pytest.raises(InputError, match="cannot be read"):
        read_model_bytes(tmp_path)


def test_text_has_newlines_only_and_no_mark(tmp_path: Path) -> None:
    """Line ends of all systems, a byte order mark, and bytes that are no UTF-8."""
    path = tmp_path / "d.vnnlib"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert open_text(path).read() == "one\ntwo\nthree\n"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        open_text(path)


def test_inputs_are_spared(tmp_path: Path) -> None:
    """By another name, by a link and by the packed twin; two outputs need two files, devices take any number."""
    read, link = tmp_path / "e.onnx", tmp_path / "link"
    (tmp_path / "e.onnx.gz").write_bytes(b"")
    os.link(tmp_path / "e.onnx.gz", link)
    for path in (link, tmp_path / "." / "e.onnx.gz"):
        with pytest.raises(InputError, match="is an input"):
            spare([read], {"witness": path})
    with pytest.raises(InputError, match="named for the picture and the log"):
        spare([], {"picture": tmp_path / "f", "log": tmp_path / "g" / ".." / "f"})
    spare([read], {"picture": tmp_path / "f", "log": tmp_path / "h"})
    spare([], {"picture": Path("/dev/null"), "log": Path("/dev/null")})
