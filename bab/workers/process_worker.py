"""What a process of the team does: reads the question, then does one errand after another until nobody is there.

It ends with its parent, whatever ended that; Ctrl-C is the parent's to hear.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from ...encodings.kernels.cache import kernels_ready
from ...instances.memory import confine, resident_mb
from ..run.exit_codes import DONE, INTERNAL
from .desk import Desk

__all__ = ["main"]

ORPHAN = 0.2  # seconds between two looks at whether the parent is still there
EVERY = 0.2  # seconds between two words about an errand at work


def main(number: int, parent: int, question: int) -> None:
    """Work until the pipe is closed. number: of the pipe's file descriptor; parent: process id; question: a file's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_outlive_nobody, args=(parent,), daemon=True).start()
    pipe = Connection(number)
    try:
        network, prop, options = pickle.loads(_read(question))  # noqa: S301  our own parent wrote it
        try:
            _load_kernels(options["kernel"])
            desk = Desk(network, prop, options)
            confine(max(0.0, float(options["memory_mb"]) - resident_mb()))
        except Exception as error:
            pipe.send(("failed", -1, _words(error)))
            return
        pipe.send(("ready", 0, None))
        _work(pipe, desk)
    except (EOFError, OSError):  # nobody is there any more
        os._exit(DONE)


def _read(number: int) -> bytes:
    """All of a file, whose position others share."""
    parts, at = [], 0
    while part := os.pread(number, 1 << 30, at):
        parts.append(part)
        at += len(part)
    os.close(number)
    return b"".join(parts)


def _load_kernels(choice: str) -> None:
    """What compiled kernels need, while nobody waits yet: a process that works long repays it (`kernels.switch`)."""
    if choice != "plain" and (kernels_ready("narrow") or kernels_ready("wide")):
        import numba  # noqa: F401


def _work(pipe: Connection, desk: Desk) -> None:
    frame = b""
    while True:
        what, key, data = pipe.recv()
        if what == "frame":
            frame = data
        elif what == "errand":
            asked = _Asked(pipe, key)
            try:
                told: tuple[str, int, Any] = ("report", key, desk.do(frame, data, asked.stop, asked.alive))
            except (EOFError, OSError):
                raise
            except Exception as error:  # told to the parent, who gives the nodes to another
                told = ("failed", key, _words(error))
            if desk.short:  # what fragments memory is not given back: a fresh process has all of its share
                pipe.send(("leaves", key, None))  # first, so that it is not sent another errand
            pipe.send(told)
            if desk.short:
                return


class _Asked:
    """What is said and heard while an errand is at work."""

    def __init__(self, pipe: Connection, key: int) -> None:
        self.pipe, self.key = pipe, key
        self.asked, self.next = False, time.monotonic()

    def stop(self) -> bool:
        """Whether the errand shall come back."""
        while self.pipe.poll(0):
            what, key, _ = self.pipe.recv()
            self.asked = self.asked or (what == "ask" and key == self.key)
        return self.asked

    def alive(self, share: float) -> None:
        """Say now and then that there is work going on."""
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + EVERY
            self.pipe.send(("alive", self.key, share))


def _outlive_nobody(parent: int) -> None:
    """End the process once its parent is gone, whatever ended that."""
    while os.getppid() == parent:
        time.sleep(ORPHAN)
    os._exit(INTERNAL)


def _words(error: Exception) -> str:
    return f"a worker failed: {type(error).__name__}: {error}"
