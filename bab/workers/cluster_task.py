"""What a Dask worker does with an errand. Each of its threads has a desk of its own, for the last question it had."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from ...instances.errors import InputError
from ...instances.models.kinds import Model, asked_of
from ...instances.onnx.reader import read_network
from ...instances.vnnlib.reader import read_property
from ..jobs.digests import digest
from ..run.options import named
from .desk import Desk
from .errands import Question, digest_of, opened

__all__ = ["do"]

EVERY = 0.5  # seconds between two looks at whether the errand shall come back
_here = threading.local()


def do(question: bytes, frame: bytes, errand: bytes, name: str) -> bytes:
    """The report of an errand. name: of the event that asks for it.

    Raises InputError where any of the three is damaged, or the network is read otherwise here than where it was asked.
    """
    known = digest_of(question)
    if getattr(_here, "known", "") != known:
        _here.desk, _here.known = _desk(question), known
    desk: Desk = _here.desk
    return desk.do(frame, errand, _Asked(name).stop)


def _desk(question: bytes) -> Desk:
    from distributed import get_worker

    told = opened("question", Question, question, "question")
    options = dict(told.options)
    names = [named(options[side]) for side in ("input", "output")]
    place = get_worker().local_directory  # of a worker that was killed the next one there removes it
    _here.folder = tempfile.TemporaryDirectory(prefix="hypersplit-", dir=place)  # as long as the thread asks the file
    folder = Path(_here.folder.name)
    (folder / "network.onnx").write_bytes(told.network.tobytes())
    (folder / "property.vnnlib").write_bytes(told.property.tobytes())
    prop = read_property(folder / "property.vnnlib", strict_types=options["strict_types"])
    network = asked_of(Model(read_network(folder / "network.onnx", *names)), prop, *names).network
    if (digest(network), digest(prop)) != (told.network_digest, told.property_digest):
        raise InputError("question: network or property are read otherwise here; is it another version?")
    return Desk(network, prop, options)


class _Asked:
    """Whether an event of that name is set, looked up now and then."""

    def __init__(self, name: str) -> None:
        from distributed import Event

        self.event, self.next = Event(name), time.monotonic() + EVERY
        self.asked = False

    def stop(self) -> bool:
        """Whether the errand shall come back."""
        if not self.asked and time.monotonic() >= self.next:
            self.next = time.monotonic() + EVERY
            self.asked = bool(self.event.is_set())
        return self.asked
