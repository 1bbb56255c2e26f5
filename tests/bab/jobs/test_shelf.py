"""Nodes on the disk: the tree is the one that memory would hold, and whatever happens to a file closes nothing."""

from __future__ import annotations

import errno
import gc
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from job_problems import PLAIN, RULES, files, in_steps, problem
from worker_teams import steady

import hypersplit
from hypersplit.bab.command.cli import main
from hypersplit.bab.jobs.records import Columns, packed
from hypersplit.bab.jobs.saved import load, save
from hypersplit.bab.jobs.shelf import LOCK, PREFIX, Shelf, batch_of
from hypersplit.bab.parts import export, merge, run_job
from hypersplit.bab.resume import resume
from hypersplit.bab.tree import cold, frontier
from hypersplit.encodings.kernels.lock import holding
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.errors import InputError
from hypersplit.instances.query import queries


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is short from the first node on, and a piece is a few nodes."""
    told = SimpleNamespace(room_mb=lambda: 0.0, resident_mb=lambda: 1.0, trim=lambda: None)
    monkeypatch.setattr(frontier, "memory", told)
    for module in (cold, frontier):
        monkeypatch.setattr(module, "PIECE_MB", 0.002)


def some(count: int = 5) -> Batch:
    """Nodes that are told apart by their numbers."""
    batch = root(queries(*problem())[0])[np.zeros(count, dtype=np.intp)]
    batch.number = np.arange(count)
    return batch


def folders(place: Path) -> list[Path]:
    """Of runs, in a place."""
    return sorted(place.glob(f"{PREFIX}*"))


def pieces(place: Path) -> list[Path]:
    """Files of nodes, the first one first."""
    return sorted(place.glob(f"{PREFIX}*/*.job"))


def test_nodes_come_back_and_leave_nothing(tmp_path: Path) -> None:
    """The same numbers; a file goes with whoever knows of its nodes, the folder with the last."""
    shelf = Shelf(tmp_path)
    assert folders(tmp_path) == []
    one, two = shelf.put(some()), shelf.put(some())
    assert one is not None and two is not None and len(pieces(tmp_path)) == 2
    told, again = packed(some(), first := Columns()), packed(shelf.get(one), second := Columns())
    assert told == again
    assert all(np.array_equal(a, b) for a, b in zip(first.joined().values(), second.joined().values(), strict=True))
    del one
    gc.collect()
    assert len(pieces(tmp_path)) == 1
    del shelf
    gc.collect()
    assert len(batch_of(two)) == 5
    del two
    gc.collect()
    assert folders(tmp_path) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """A folder whose lock nobody holds goes; one that is in use stays."""
    for name in ("dead", "alive"):
        (tmp_path / (PREFIX + name)).mkdir()
        (tmp_path / (PREFIX + name) / "000000.job").touch()
    with holding(tmp_path / (PREFIX + "alive") / LOCK):
        shelf = Shelf(tmp_path)
        kept = shelf.put(some())
        names = [folder.name for folder in folders(tmp_path)]
    assert kept is not None and PREFIX + "alive" in names and PREFIX + "dead" not in names and len(names) == 2


@pytest.mark.parametrize("rule", RULES)
def test_the_same_leaves_as_in_memory(
    rule: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same nodes end by the same evidence, in the same order, and what is left has a whole account."""
    network, prop = problem()
    steady(monkeypatch)
    means = "slopes" if rule == "phases" else "linear"  # by one, not by what pays
    (whole,) = in_steps(network, prop, [70], rule=rule, node_bounds=means)
    request.getfixturevalue("short")
    (away,) = in_steps(network, prop, [70], rule=rule, node_bounds=means)
    assert away.ended[0].size and away.answer.evidence == whole.answer.evidence
    assert all(np.array_equal(a, b) for a, b in zip(away.ended, whole.ended, strict=True))
    *_, stopped = in_steps(network, prop, [15, 30], rule=rule, node_bounds=means)
    assert stopped.job is not None and stopped.job.cold
    stopped.job.check(queries(network, prop)[0])


def test_checkpoints_hold_them(short: None, tmp_path: Path) -> None:
    """A run that is stopped and gone on with ends as one in memory; its file has all the nodes, and the folder none."""
    network, prop = files(tmp_path, gap=0.2)
    place, path = tmp_path / "nodes", tmp_path / "run.job"
    place.mkdir()
    log = tmp_path / "log"
    plain: dict[str, Any] = PLAIN | {"node_bounds": "linear"}
    first = hypersplit.verify(network, prop, checkpoint=path, spill=place, log=log, **(plain | {"nodes": 40}))
    assert first.reason == "nodes" and "MB of open nodes went to" in log.read_text()
    gc.collect()
    (job,) = load(path, "checkpoint")[1].jobs
    assert job.cold and sum(map(len, job.cold + job.open)) == first.statistics["open_nodes"]
    assert folders(place) == []
    for nodes in range(60, 2000, 40):
        result = resume(path, spill=place, jobs=1, nodes=nodes, node_bounds="linear")
        if result.verdict != "unknown":
            break
    assert (result.verdict, result.evidence) == ("unsat", hypersplit.verify(network, prop, **plain).evidence)


def test_parts_hold_them(short: None, tmp_path: Path) -> None:
    """What is exported are all open nodes, those on the disk too."""
    network, prop = files(tmp_path, wide=16)
    parts = tmp_path / "parts"
    assert export(network, prop, parts, 3, **(PLAIN | {"batch": 8})).verdict == "unknown"
    for part in sorted(parts.glob("part-*.job")):
        assert run_job(part, jobs=1).verdict == "unsat"
    assert merge(parts).verdict == "unsat"


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_lost_files_leave_their_nodes_open(
    how: str, jobs: int, short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`unknown` with the reason; what the checkpoint was before stays, and leads to the verdict."""
    network, prop = files(tmp_path, gap=0.2)
    path, real, done = tmp_path / "run.job", Shelf.put, []
    hypersplit.verify(network, prop, checkpoint=path, **(PLAIN | {"nodes": 12}))
    before = path.read_bytes()

    def put(self: Shelf, batch: Batch) -> cold.Cold | None:
        found = real(self, batch)
        done.append(len(batch))
        if len(done) == 3:
            piece = pieces(tmp_path)[-1]
            piece.unlink() if how == "missing" else piece.write_bytes(piece.read_bytes()[:-9] + b"123456789")
        return found

    monkeypatch.setattr(Shelf, "put", put)
    result = resume(path, spill=tmp_path, jobs=jobs)
    assert result.verdict == "unknown" and "could not be read back" in result.reason
    assert ("damaged" if how == "damaged" else "No such file") in result.reason
    assert result.statistics["open_nodes"] > 0 and "not written" in result.notes[-1]
    assert path.read_bytes() == before
    monkeypatch.undo()
    assert resume(path, jobs=1).verdict == "unsat"


def test_a_full_disk_costs_no_verdict(short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that cannot be put away stay in memory, and nothing is left of the file."""
    network, prop = files(tmp_path, gap=0.2)
    real, calls = Path.write_bytes, []

    def full(self: Path, data: bytes) -> int:
        calls.append(self)
        if len(calls) < 4:
            return real(self, data)
        real(self, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    result = hypersplit.verify(network, prop, spill=tmp_path, **PLAIN)
    assert result.verdict == "unsat" and len(calls) == 4 and not calls[-1].exists()


def test_pieces_of_a_checkpoint_are_checked(short: None, tmp_path: Path) -> None:
    """A piece that is damaged, gone or another's is refused before anything is searched."""
    network, prop = files(tmp_path, gap=0.2)
    path = tmp_path / "run.job"
    hypersplit.verify(network, prop, checkpoint=path, **(PLAIN | {"nodes": 40}))
    _, saved = load(path, "checkpoint")
    (job,) = saved.jobs
    data = path.read_bytes()
    assert job.cold[0].source is not None
    at = data.index(job.cold[0].source.data()[200:260])
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(InputError, match="damaged"):
        resume(path)
    path.write_bytes(data)
    job.cold[0].number = job.cold[0].number[::-1] + 0
    if len(job.cold[0]) == 1:
        job.cold[0].number = job.cold[0].number + 10**6
    other = tmp_path / "other.job"
    save(other, "checkpoint", saved)
    with pytest.raises(InputError):
        resume(other)
    job.cold[0].source = None
    save(other, "checkpoint", saved)
    with pytest.raises(InputError, match="a piece for all nodes"):
        load(other, "checkpoint")


def test_a_place_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    network, prop = files(tmp_path)
    assert main(["verify", str(network), str(prop), "--spill", str(tmp_path / "no")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.endswith("no such folder\n") and len(err.splitlines()) == 1


def test_what_was_put_away_is_told(short: None, caplog: Any) -> None:
    """Where and how much; not of every piece."""
    with caplog.at_level(logging.INFO, logger="hypersplit"):
        shelf = Shelf()
        kept = [shelf.put(some()) for _ in range(9)]
    told = [record for record in caplog.records if "open nodes went to" in record.getMessage()]
    assert all(kept) and len(told) == 4
