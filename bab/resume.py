"""Go on with a run that an earlier process left: from its checkpoint to a verdict, with other limits.

The verdict is as from one run: nodes, evidence and statistics of all its runs count. What the file says of nodes that
have ended is believed; it must be whole, and of this very network and property.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ..instances.errors import InputError
from ..instances.judges.replay import Replay, Witness
from ..instances.network import Network
from ..instances.property import Property
from .jobs.keeper import Keeper
from .jobs.saved import Saved, load
from .reading import Networks, read
from .run.limits import Limits
from .run.networks import named_networks
from .run.options import Options, OptionValues, changed
from .run.result import Result
from .verify import checkpoint_file, decide, under

__all__ = ["files_of", "options_of", "replayed", "resume"]

FIXED = ("method", "rule", "rows", "input", "output", "strict_types")  # options that a tree cannot change


def resume(
    file: str | os.PathLike[str],
    network: Networks | None = None,
    property: str | os.PathLike[str] | Property | None = None,
    **overrides: Unpack[OptionValues],
) -> Result:
    """Go on from a checkpoint that `verify` wrote, and write it anew.

    network, property: where they are by now; None for the paths that the file holds. Options are those of the first
    run where the tree rests on them, and otherwise the defaults; `checkpoint` is the file itself.

    Returns a Result as `verify` does; of a run that is decided, what it decided.
    Raises InputError where the file is damaged, or of another network or property, or an option cannot be changed.
    """
    path = Path(file)
    _, saved = load(path, "checkpoint")
    options = options_of(saved, overrides, path)
    limits = Limits(options)
    with under(options):
        net, prop = files_of(saved, network, property, path)
        if saved.decided:
            return replayed(saved.decided.result, net, prop, path)
        place = checkpoint_file(options.checkpoint) if options.checkpoint else path
        return decide(net, prop, Keeper(saved, limits, place))


def options_of(saved: Saved, overrides: Mapping[str, Any], path: Path) -> Options:
    """The first run's options with others in their place. Raises InputError for one that cannot be changed."""
    options = changed(Options(**saved.options), overrides)
    for name in FIXED:
        if (given := getattr(options, name)) != saved.options[name]:
            raise InputError(f"option {name} = {given}: {path} was begun with {saved.options[name]}")
    if options.picture:
        raise InputError("option picture: nodes of earlier runs cannot be drawn")
    return options


def files_of(
    saved: Saved, network: Networks | None, prop: str | os.PathLike[str] | Property | None,
    path: Path,
) -> tuple[Network, Property]:  # fmt: skip
    """What the file was written of. Raises InputError where it is not."""
    given = {"network": network or named_networks(saved.network_file), "property": prop or saved.property_file}
    for name, what in given.items():
        if not what:
            raise InputError(f"{path}: the {name} was built in memory, and none is given")
    # a network that is given as an object has its inputs and outputs
    chosen = {"input": "", "output": ""} if isinstance(network, Network) else {}
    options = Options(**{**saved.options, **chosen})
    net, checked = read(given["network"], given["property"], options)  # type: ignore[arg-type]
    saved.fits(net, checked, path)
    return net, checked


def replayed(result: Result, network: Network, prop: Property, path: Path) -> Result:
    """What was decided; a witness is run once more. Raises InputError where it is none."""
    if result.witness is not None and not _witness(result.witness, Replay(network), prop):
        raise InputError(f"{path}: holds a witness that is no counterexample of {network.source or 'the network'}")
    return replace(result, notes=(*result.notes, f"decided by an earlier run, see {path}"))


def _witness(witness: Witness, replay: Replay, prop: Property) -> bool:
    if not 0 <= witness.case < len(prop.cases) or len(witness.input) != prop.input_size:
        return False
    # what equalities determine follows from the other inputs, which are floats in the real point, too
    x = witness.input if witness.real is None else np.array([float(v) for v in witness.real])
    return replay.check(prop.cases[witness.case], x, prop.joint) is not None
