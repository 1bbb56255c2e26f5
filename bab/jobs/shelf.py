"""The shelf of a run: a folder where open nodes wait while memory is short, a sealed file a piece.

The folder is made with the first piece, in the folder that the user names or in the system's for temporary files, and
goes with the last one. A piece is named by the SHA-256 of its bytes, which is compared when it is read, and put into a
checkpoint as it is. A file goes when nobody knows of its nodes any more. What a process that was killed has left there
nobody needs: its checkpoint has pieces of its own. The next run that puts nodes into the same place removes it, told
by a lock that died with its holder.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import weakref
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...encodings.kernels.lock import holding
from ...instances.batch import Batch
from ...instances.errors import InputError
from ..tree.cold import Cold
from .records import Columns, packed, unpacked

__all__ = ["InFile", "Shelf", "batch_of"]

LOG = logging.getLogger(__name__)
KIND, PREFIX, LOCK = "nodes", "hypersplit-nodes-", "lock"
TOLD = 2.0  # times as much on the disk as when it was last told, before it is told again


class _Folder:
    """A new folder whose lock is held, and which goes with the last who knows of it. Raises OSError."""

    def __init__(self, parent: Path) -> None:
        for old in parent.glob(f"{PREFIX}*"):
            with suppress(OSError), holding(old / LOCK) as free:
                if free:
                    shutil.rmtree(old, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=f"new-{PREFIX}", dir=parent))
        held = ExitStack()
        held.enter_context(holding(fresh / LOCK))
        self.path = fresh.rename(fresh.with_name(fresh.name.removeprefix("new-")))  # nobody sees it without a lock
        weakref.finalize(self, _left, self.path, held, os.getpid())


@dataclass(eq=False)
class _File:
    """A piece that is a file of its own, and goes with the last who knows of it."""

    folder: _Folder
    path: Path
    name: str

    def __post_init__(self) -> None:
        weakref.finalize(self, _removed, self.path, os.getpid())

    def data(self) -> bytes:
        """See `Source`."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        if hashlib.sha256(data).hexdigest() != self.name:
            raise InputError(f"{self.path}: damaged")
        return data


def _left(folder: Path, held: ExitStack, owner: int) -> None:
    if os.getpid() == owner:  # a forked process has other files to care for
        held.close()
        shutil.rmtree(folder, ignore_errors=True)


def _removed(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        with suppress(OSError):
            path.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class InFile:
    """A piece of a checkpoint: the file may have been written anew, as long as it has the same piece."""

    path: Path
    name: str

    def data(self) -> bytes:
        """See `Source`."""
        from .sealed import BEFORE, read_piece

        before = self.path.with_name(self.path.name + BEFORE)
        return read_piece(self.path if self.path.exists() else before, self.name)


class Shelf:
    """See `tree.cold.Shelf`; where: the folder to make its own in, "" for the system's."""

    def __init__(self, where: str | os.PathLike[str] = "") -> None:
        """Raises InputError where `where` is no folder."""
        if where and not Path(where).is_dir():
            raise InputError(f"option spill = {where}: no such folder")
        self.place, self.closed = Path(where or tempfile.gettempdir()), ""
        self.folder: _Folder | None = None  # made with the first piece
        self.pieces, self.mb = 0, 0.0  # written so far
        self._told = 0.0

    def put(self, batch: Batch) -> Cold | None:
        """See `tree.cold.Shelf`."""
        from .sealed import Sealed, sealed_bytes  # archives, which an easy query has no need of

        columns = Columns()
        told = packed(batch, columns)
        data = sealed_bytes(Sealed(KIND, told, columns.joined()))
        try:
            source = self._written(data)
        except OSError as error:
            self.closed = f"{self.place}: {error.strerror or error}"
            LOG.warning("open nodes cannot be put on the disk any more: %s", self.closed)
            return None
        self.pieces, self.mb = self.pieces + 1, self.mb + 1e-6 * len(data)
        if self.mb >= TOLD * self._told:
            self._told = self.mb
            LOG.info("memory is short: %.0f MB of open nodes went to %s so far", self.mb, source.folder.path)
        return Cold.of(batch, source.name, source)

    def get(self, cold: Cold) -> Batch:
        """See `tree.cold.Shelf`."""
        return batch_of(cold)

    def _written(self, data: bytes) -> _File:
        if self.folder is None:
            self.folder = _Folder(self.place)
        path = self.folder.path / f"{self.pieces:06d}.job"  # equal pieces are different files
        try:
            path.write_bytes(data)
        except OSError:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        return _File(self.folder, path, hashlib.sha256(data).hexdigest())


def batch_of(cold: Cold) -> Batch:
    """The nodes, read back. Raises InputError where they are missing, or not what they were."""
    from .sealed import sealed_of

    if cold.source is None:
        raise InputError("nobody knows where these nodes are")
    data = cold.source.data()
    sealed = sealed_of(data, KIND, "open nodes")
    batch: Batch = unpacked(Batch, sealed.content, sealed.arrays)
    if not np.array_equal(batch.number, cold.number):
        raise InputError("open nodes: others than were put there")
    return batch
