"""Dask clusters: the verdict is that of a search alone, whoever is lost; skipped where distributed is not installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dask_programs import dask
from job_problems import PLAIN, files, problem
from worker_teams import searched, steady

import hypersplit
from hypersplit.bab.run.options import Options
from hypersplit.bab.workers.cluster import Cluster, Place
from hypersplit.bab.workers.cluster_file import read_cluster_file
from hypersplit.bab.workers.gather import options_of_workers
from hypersplit.bab.workers.team import TeamError
from hypersplit.instances.errors import InputError
from hypersplit.instances.network import Network
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.property import Property
from hypersplit.instances.vnnlib.reader import read_property

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
LONG = 120.0  # seconds that nothing here takes


@pytest.fixture(autouse=True)
def small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `worker_teams.steady`."""
    steady(monkeypatch)


@pytest.fixture
def read(tmp_path: Path) -> tuple[Network, Property]:
    """A problem of files that holds."""
    network, prop = files(tmp_path)
    return read_network(network), read_property(prop)


def gathered(read: tuple[Network, Property], where: str = "local:2") -> Cluster:
    """A cluster for the problem, its workers there."""
    return Place(where, 2).gather(*read, options_of_workers(Options(**PLAIN, rule="axes"), 4000.0))


@pytest.fixture
def scheduler() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler with two workers, as programs of their own: (its address, [scheduler, worker, worker])."""
    with dask(20000 + os.getpid() % 20000) as programs:
        yield programs


def same_as_alone(read: tuple[Network, Property], shared: Any) -> None:
    """Verdict, nodes and evidence are those of a search alone."""
    alone = searched(*read, None, rule="axes")
    assert shared.answer.holds and shared.answer.evidence == alone.answer.evidence
    assert shared.answer.statistics["nodes"] == alone.answer.statistics["nodes"]


def test_a_cluster_of_this_machine(
    read: tuple[Network, Property], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tree; it listens at the loopback only; workers that are killed cost their errands; nobody is left.

    Nor is anything that they wrote, outside of the folders that Dask's next workers remove.
    """
    import psutil

    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    cluster = gathered(read)
    until = time.monotonic() + LONG
    while cluster.free() < 2 and time.monotonic() < until:
        time.sleep(0.1)
    children = psutil.Process().children(recursive=True)
    listening = [c.laddr.ip for p in (psutil.Process(), *children) for c in p.net_connections("tcp")
                 if c.status == psutil.CONN_LISTEN]  # fmt: skip
    assert listening and set(listening) == {"127.0.0.1"}
    pids = list(cluster._client.run(os.getpid).values())

    class Killed:
        """The team, whose workers are killed when the fourth errand is sent."""

        def __getattr__(self, name: str) -> Any:
            return getattr(cluster, name)

        def send(self, key: int, frame: bytes, errand: bytes) -> None:
            cluster.send(key, frame, errand)
            if key == 3:
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)

    killed: Any = Killed()
    same_as_alone(read, searched(*read, lambda options: killed, rule="axes"))
    # but Python's own helper, which ends with this process
    workers = [p for p in children if p.is_running() and "resource_tracker" not in " ".join(p.cmdline())]
    assert psutil.wait_procs(workers, LONG)[1] == []
    assert [path.name for path in place.iterdir() if path.name.startswith("hypersplit")] == []


def test_a_scheduler_that_runs_already(read: tuple[Network, Property], scheduler: Any, tmp_path: Path) -> None:
    """By its address or a file; workers that come later work, too; when it is killed the checkpoint is gone on with."""
    address, programs = scheduler
    same_as_alone(read, searched(*read, lambda options: gathered(read, address), rule="axes"))
    place = tmp_path / "cluster.yaml"
    place.write_text(f"scheduler: {address}\n")
    cluster = gathered(read, str(place))

    class Lost:
        """The team, whose scheduler is killed when the first errand is sent."""

        essential = True

        def __getattr__(self, name: str) -> Any:
            return getattr(cluster, name)

        def send(self, key: int, frame: bytes, errand: bytes) -> None:
            if key == 1:
                programs[0].kill()
                programs[0].wait()
            cluster.send(key, frame, errand)

        def close(self) -> None:
            """Who is gone is asked nothing more, as an answer would be waited for."""
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(cluster, "_tasks", {1: None})  # an errand that is still out
                patch.setattr("distributed.Event", lambda *words, **named: pytest.fail("a lost scheduler was asked"))
                cluster.close()
            closed.append(True)

    closed: list[bool] = []
    from hypersplit.bab.workers import gather
    from hypersplit.bab.workers.sharing import Sharing

    lost: Any = Lost()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "_sharing", lambda options, network, prop: Sharing(lambda: lost, gather._at_once))
        words: dict[str, Any] = PLAIN | {"rule": "axes", "checkpoint": tmp_path / "run.job"}
        result = hypersplit.verify(tmp_path / "net.onnx", tmp_path / "prop.vnnlib", **words)
    assert result.verdict == "unknown" and "the scheduler is gone" in result.reason
    assert result.statistics["open_nodes"] > 0 and closed
    again = hypersplit.resume(tmp_path / "run.job", jobs=1)
    alone = hypersplit.verify(tmp_path / "net.onnx", tmp_path / "prop.vnnlib", **(PLAIN | {"rule": "axes"}))
    assert again.verdict == alone.verdict == "unsat" and again.statistics["nodes"] == alone.statistics["nodes"]


def test_a_report_that_breaks_off() -> None:
    """A scheduler that is killed while it hands a report over is gone, as one that is killed at any other moment."""

    class Future:
        status = "finished"

        def result(self, timeout: float) -> bytes:
            raise OSError(f"Stream is closed, after less than {timeout:g} s")

    cluster = Cluster.__new__(Cluster)
    cluster.where, cluster._tasks = "tcp://a:1", {1: None}
    with pytest.raises(TeamError, match="the scheduler is gone: Stream is closed"):
        cluster._ended(1, Future())


def test_what_is_asked_of_a_cluster(tmp_path: Path) -> None:
    """An address that is none, a file that says something else, a network without a file: one line, no verdict."""
    with pytest.raises(InputError, match="option cluster = 'over there': expected local"):
        Options(cluster="over there")
    place = tmp_path / "cluster.yaml"
    for told, why in (
        ("[", "cannot be read"), ("jobs: 3", "expected either"), ("{scheduler: a, jobqueue: b}", "expected either"),
        ("{scheduler: 'tcp://a:1', ports: 3}", "ports: expected one of"), ("scheduler: 3", "of type str"),
        ("{scheduler: 'tls://a:1', security: {key: x}}", "security: "), ("jobqueue: SLURMCluster", "jobqueue"),
    ):  # fmt: skip
        place.write_text(told)
        if told.startswith("jobqueue"):
            pytest.MonkeyPatch().setitem(sys.modules, "dask_jobqueue", None)
        with pytest.raises(InputError, match=why):
            read_cluster_file(place)
    network, prop = files(tmp_path)
    with pytest.raises(InputError, match="was built in memory, and cannot travel"):
        Place("local:1", 1).gather(problem()[0], read_property(prop), {})
    with pytest.raises(InputError, match="cannot be reached"):
        hypersplit.verify(network, prop, cluster="tcp://127.0.0.1:9", **PLAIN)
