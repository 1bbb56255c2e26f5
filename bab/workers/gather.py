"""Who helps a run: nobody, processes of this machine, or a cluster, by its options.

Threads share the interpreter's lock, processes do not, but have to start and to read the question. So a run begins
with threads, and goes over to processes where it lasts, and where a node takes long enough for its journey.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ...instances.network import Network
from ...instances.property import Property
from ..run.options import Options

if TYPE_CHECKING:
    from .sharing import Sharing
    from .team import Team

__all__ = ["helping", "options_of_workers"]

AFTER = 4.0  # seconds of search from which on processes repay their start
LEAST_NODE = 5e-4  # seconds of a node, from which on its journey is little
HERE = (  # options of the process that was asked: files, limits that are told with each errand, who helps
    "timeout", "nodes", "log", "checkpoint", "every", "spill", "progress", "picture", "picture_inputs", "jobs",
    "workers", "cluster", "memory_mb",
)  # fmt: skip


@contextmanager
def helping(options: Options, network: Network, prop: Property) -> Iterator[Sharing | None]:
    """Who helps as long as a run is at work. Raises InputError where a cluster is asked for that cannot be had."""
    sharing = _sharing(options, network, prop)
    try:
        yield sharing
    finally:
        if sharing is not None:
            sharing.close()


def options_of_workers(options: Options, memory_mb: float) -> dict[str, Any]:
    """The options that a worker has, by their names."""
    kept = {f.name: getattr(options, f.name) for f in fields(Options) if f.name not in HERE}
    return kept | {"jobs": 1, "workers": "threads", "memory_mb": memory_mb}


def _sharing(options: Options, network: Network, prop: Property) -> Sharing | None:
    if options.cluster:
        from .cluster import Place
        from .sharing import Sharing

        place = Place(options.cluster, options.jobs)
        share = options.memory_mb / (1 + place.asked.workers)  # those of other machines have it all
        chosen = options_of_workers(options, share)
        return Sharing(lambda: place.gather(network, prop, chosen), _at_once, memory_mb=share)
    if options.workers == "threads" or (options.workers == "auto" and options.jobs == 1) or options.picture:
        return None
    from .sharing import Sharing

    share = options.memory_mb / (1 + options.jobs)

    def processes() -> Team:
        from .processes import Processes

        return Processes(network, prop, options_of_workers(options, share), options.jobs)

    at_once = options.workers == "processes"
    return Sharing(processes, _at_once if at_once else _pays, ahead=at_once, memory_mb=share)


def _at_once(seconds: float, node_seconds: float) -> bool:
    return True


def _pays(seconds: float, node_seconds: float) -> bool:
    return seconds >= AFTER and node_seconds >= LEAST_NODE


