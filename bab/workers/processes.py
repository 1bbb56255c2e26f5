"""A team of processes on this machine, each with a pipe of its own; one that dies or says nothing is replaced.

They are started as programs of their own, not forked: no lock of another thread is held in them, and a library's
threads are as many as the environment says, one. Each reads the question once, from a file that nobody else sees, so
none of them waits for this process to look; it keeps it, with the kernels loaded.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Pipe, wait
from typing import IO, Any

from ...instances.network import Network
from ...instances.property import Property
from .errands import digest_of
from .team import Event, TeamError

__all__ = ["Processes"]

PATIENCE = 120.0  # seconds without a word, from which on a process that is at work may count as hung
MOST_STARTS = 3  # failures to start, one after another, after which there is no team
ONE_THREAD = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from hypersplit.bab.workers.process_worker import main
main(*map(int, sys.argv[2:]))
"""


class _Member:
    """A process and its pipe."""

    def __init__(self, question: int) -> None:
        """question: the file's descriptor. Raises OSError where no process can be started."""
        self.pipe, theirs = Pipe()
        with theirs:
            words = [json.dumps(sys.path), str(theirs.fileno()), str(os.getpid()), str(question)]
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, pass_fds=(theirs.fileno(), question), env={**os.environ, **ONE_THREAD},
            )  # fmt: skip
        self.ready = False
        self.leaving = False  # it says its last report, and ends
        self.key: int | None = None  # of the errand at work
        self.frame = ""  # digest of the one it has
        self.heard = time.monotonic()
        self.spent = 0.0  # seconds of the processor that it had had then

    def hear(self) -> None:
        """It has said something, or was given something to do."""
        self.heard, self.spent = time.monotonic(), _work_of(self.process.pid)[1]

    @property
    def hangs(self) -> bool:
        """Whether it says nothing though it had time enough; on a busy machine one that wants the processor may not."""
        if time.monotonic() <= self.heard + PATIENCE:
            return False
        running, spent = _work_of(self.process.pid)
        return not running or spent > self.spent + PATIENCE

    @property
    def idle(self) -> bool:
        """Whether it waits for an errand."""
        return self.ready and self.key is None and not self.leaving

    def say(self, what: str, key: int = 0, data: bytes = b"") -> None:
        """Raises OSError where nobody listens any more."""
        self.pipe.send((what, key, data))

    def end(self) -> str:
        """Kill it; returns what had ended it before, in words."""
        self.pipe.close()
        code = self.process.poll()
        if code is None:
            with suppress(subprocess.TimeoutExpired):  # it closed its pipe: it is about to end
                code = self.process.wait(1.0)
            self.process.kill()
            self.process.wait()
        if code is None:
            return "was ended"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


class Processes:
    """See `Team`."""

    essential = False

    def __init__(self, network: Network, prop: Property, options: dict[str, Any], count: int) -> None:
        """Raises TeamError where no process can be started."""
        self.failed = 0  # starts, one after another
        self.members: list[_Member] = []
        self.name = f"{count} processes"
        self.unheard: list[Event] = []
        self._question = _unseen()
        try:
            pickle.dump((network, prop, options), self._question)
            self._question.flush()
            for _ in range(count):
                self.members.append(_Member(self._question.fileno()))
        except OSError as error:
            self.close()
            raise TeamError(f"workers cannot be started: {error}") from error

    def size(self) -> int:
        """See `Team`."""
        return len(self.members)

    def free(self) -> int:
        """See `Team`."""
        return sum(m.idle for m in self.members)

    def send(self, key: int, frame: bytes, errand: bytes) -> None:
        """See `Team`."""
        member = next(m for m in self.members if m.idle)
        member.key = key
        member.hear()
        try:
            if (digest := digest_of(frame)) != member.frame:
                member.say("frame", 0, frame)
                member.frame = digest
            member.say("errand", key, errand)
        except OSError:
            self._replace(member)

    def ask(self, key: int) -> None:
        """See `Team`."""
        for member in self.members:
            if member.key == key:
                with suppress(OSError):  # it has ended: that is heard soon
                    member.say("ask", key)

    def wait(self, seconds: float) -> list[Event]:
        """See `Team`."""
        ready = wait([m.pipe for m in self.members], 0.0 if self.unheard else seconds)
        for member in list(self.members):
            if member.pipe in ready:
                self._hear(member)
            elif member.key is not None and member.hangs:
                self._replace(member, f"said nothing for {PATIENCE:.0f} s")
        events, self.unheard = self.unheard, []
        return events

    def drop(self) -> None:
        """See `Team`."""
        for member in self.members:
            if member.key is not None:
                self.ask(member.key)
        # what they still say is of keys that nobody knows any more

    def close(self) -> None:
        """See `Team`."""
        members, self.members = self.members, []
        for member in members:
            member.process.kill()
        for member in members:
            member.end()
        self._question.close()

    def _hear(self, member: _Member) -> None:
        try:
            while member.pipe.poll(0):
                self._take(member, *member.pipe.recv())
        except (OSError, EOFError):
            self._replace(member)

    def _take(self, member: _Member, what: str, key: int, told: Any) -> None:
        member.hear()
        if what == "ready":
            member.ready, self.failed = True, 0
        elif what == "leaves":
            member.leaving = True
        elif what == "alive":
            self.unheard.append(Event(key, share=told))
        elif what in ("report", "failed"):
            member.key = None
            self.unheard.append(Event(key, told) if what == "report" else Event(key, failure=told))
        if what == "failed" and key < 0:  # it cannot even begin
            raise EOFError

    def _replace(self, member: _Member, why: str = "") -> None:
        """Another process in its place; its errand has failed. Raises TeamError where none can begin."""
        if why:
            member.process.kill()
        how = member.end()
        if member.key is not None:
            self.unheard.append(Event(member.key, failure=f"a worker {why or how}"))
        if not member.ready:
            self.failed += 1
            if self.failed >= MOST_STARTS:
                raise TeamError(f"workers cannot be started: the last one {how}")
        try:
            self.members[self.members.index(member)] = _Member(self._question.fileno())
        except OSError as error:
            self.members.remove(member)
            raise TeamError(f"workers cannot be started: {error}") from error


def _work_of(pid: int) -> tuple[bool, float]:
    """(Whether a process runs or waits for a processor, seconds that it had one); (False, 0) where nobody tells."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            words = file.read().rpartition(")")[2].split()  # behind its name: state, ..., ticks of the user, the system
        return words[0] == "R", (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return False, 0.0


def _unseen() -> IO[bytes]:
    """A file without a name, in memory where the system has such."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("hypersplit"), "w+b")
    return tempfile.TemporaryFile()

