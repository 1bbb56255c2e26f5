"""A cluster's description, as a .yaml file: where a scheduler is, or which batch system is to be asked for workers.

    scheduler: tls://head:8786                  one that runs already
    security: {tls_ca_file: ca.pem, tls_client_cert: me.pem, tls_client_key: me.key, require_encryption: true}

    jobqueue: SLURMCluster                      a class of dask_jobqueue
    options: {cores: 4, processes: 4, memory: 16GB, walltime: "01:00:00", interface: ib0}
    jobs: 20                                    or  adapt: {minimum_jobs: 2, maximum_jobs: 50}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...instances.errors import InputError

__all__ = ["Asked", "read_cluster_file"]

KNOWN = {"scheduler": str, "security": dict, "jobqueue": str, "options": dict, "jobs": int, "adapt": dict}


@dataclass(frozen=True)
class Asked:
    """Which cluster: `workers` processes of this machine, a scheduler's address, or a batch system's."""

    workers: int = 0
    address: str = ""
    security: dict[str, Any] = field(default_factory=dict)  # of `distributed.Security`
    jobqueue: str = ""  # a class of dask_jobqueue, "" for none
    options: dict[str, Any] = field(default_factory=dict)  # of that class
    jobs: int = 0  # to ask the batch system for
    adapt: dict[str, Any] = field(default_factory=dict)  # or its numbers by need

    def started(self, loopback: str) -> Any:
        """A cluster that was started for this run, None where one runs already."""
        if self.workers:
            return _local(self.workers, loopback)
        if not self.jobqueue:
            return None
        import dask_jobqueue

        security = {"security": self.security_of()} if self.security else {}
        cluster = getattr(dask_jobqueue, self.jobqueue)(**self.options, **security)
        if self.adapt:
            cluster.adapt(**self.adapt)
        else:
            cluster.scale(jobs=self.jobs or 1)
        return cluster

    def security_of(self) -> Any:
        """The keys of TLS as Dask wants them, None where there are none."""
        from distributed import Security

        return Security(**self.security) if self.security else None


def read_cluster_file(path: Path) -> Asked:
    """What the file says. Raises InputError where it cannot be read, or says something else."""
    import yaml

    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read: {why}") from error
    if not isinstance(told, dict) or ("scheduler" in told) == ("jobqueue" in told):
        raise InputError(f"{path}: expected either `scheduler: ADDRESS` or `jobqueue: CLASS`")
    for name, value in told.items():
        if name not in KNOWN:
            raise InputError(f"{path}: {name}: expected one of {', '.join(KNOWN)}")
        if not isinstance(value, KNOWN[name]) or isinstance(value, bool):
            raise InputError(f"{path}: {name}: expected a value of type {KNOWN[name].__name__}")
    address = told.pop("scheduler", "")
    asked = Asked(address=address, **told)
    _check(asked, path)
    return asked


def _check(asked: Asked, path: Path) -> None:
    """What libraries would refuse later, or not at all."""
    if asked.jobqueue:
        try:
            import dask_jobqueue
        except ImportError as error:
            raise InputError(f"{path}: jobqueue needs dask_jobqueue: {error}") from error
        if not (asked.jobqueue.endswith("Cluster") and hasattr(dask_jobqueue, asked.jobqueue)):
            raise InputError(f"{path}: jobqueue: dask_jobqueue has no class {asked.jobqueue}")
    try:
        asked.security_of()
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        raise InputError(f"{path}: security: {' '.join(str(error).split())}") from error


def _local(workers: int, loopback: str) -> Any:
    """Processes of one thread each, which are replaced where they die, and no page."""
    import dask
    from distributed import LocalCluster

    from .processes import ONE_THREAD

    # a lost errand is told at once, and given to another by us
    with dask.config.set(
        {"distributed.scheduler.allowed-failures": 0, "distributed.nanny.pre-spawn-environ": ONE_THREAD}
    ):
        return LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host=loopback, dashboard_address=None,  # pyright: ignore[reportArgumentType]
            memory_limit=0, silence_logs=50,
        )  # fmt: skip
