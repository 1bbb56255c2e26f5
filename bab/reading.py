"""From files and model objects to one network and what is asked of it, of one network and of several by their names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..instances.collector import paused
from ..instances.declarations import FLOATS, Declared, Tensor
from ..instances.errors import InputError, PropertyError, ReplayError
from ..instances.judges.replay import Content, Replay
from ..instances.models.kinds import Model, asked_of, load_model
from ..instances.network import Network, Port
from ..instances.property import Property, Question
from ..instances.readout import check_rows
from .run.options import Options, named

__all__ = ["Asked", "Networks", "Properties", "hold_types", "read"]

Networks = Any  # what `load_model` takes, or a mapping of it by the names that the property declares
Properties = str | os.PathLike[str] | Property | Question


class Asked(NamedTuple):
    """What is to be decided, and what is run to confirm it."""

    network: Network
    property: Property
    content: Content = None  # Replay's `model`: the ONNX models of objects; None for files and for what has none


@paused()
def read(
    network: Networks, prop: Properties, options: Options, input_shape: tuple[int, ...] | None = None
) -> Asked:
    """The network (several stand side by side) and the property, both read where they are paths, texts or objects.

    options: `input` and `output` choose among those of one file; `strict_types`; input_shape: see `load_model`.
    Raises InputError for files and models that cannot be understood, and where networks and property do not fit each
    other.
    """
    if isinstance(network, Mapping):
        if options.input or options.output:
            raise InputError("options input and output choose among those of one file; these are several networks")
        if input_shape is not None:
            raise InputError(f"input_shape {input_shape}: is of one model, these are several; see load_model")
        return _several(network, prop, options.strict_types)
    model = _model(network, options, input_shape)
    net = model.network
    several = max(len(net.inputs), len(net.outputs)) > 1
    prop = _property(prop, net, options.strict_types, several)
    if len(prop.networks) > 1:
        own = [d.name for d in prop.networks if not d.equal_to]
        if len(own) > 1:
            raise InputError(
                f"{prop.source or 'property'}: declares the networks {' and '.join(own)}; expected a file for each: "
                + " ".join(f"--network {name}=FILE" for name in own)
            )
        return _several({own[0]: model}, prop, options.strict_types)
    if not isinstance(network, Network):
        model = asked_of(model, prop, named(options.input), named(options.output))
    return Asked(model.network, _fitting(model.network, prop), model.content)


def hold_types(prop: Property, replay: Replay) -> None:
    """PropertyError where a declared float type is not the file's; `real` fits all."""
    if replay.model is None or not any(t.kind in FLOATS for d in prop.networks for t in d.tensors):
        return
    try:
        sessions = [session for session, _ in replay.session.pieces(np.zeros(replay.network.input_size))]
    except ReplayError:
        return  # no type to compare with; whoever needs the file says why it does not run
    for declared, session in zip(prop.networks, sessions, strict=True):
        tensors = [tensor for tensor in declared.tensors if tensor.is_input]
        kinds = [np.dtype(kind).name for _, kind in sorted(session.grid, key=lambda part: part[0].start)]
        for tensor, kind in zip(tensors, kinds if len(kinds) > 1 else kinds * len(tensors), strict=True):
            if tensor.kind not in ("real", kind):
                raise PropertyError(
                    f"{prop.source or 'property'}: {tensor.name} is declared {tensor.spelled_kind}, but "
                    f"{session.name} takes {kind}"
                )


def _property(prop: Properties, net: Network | None, strict: bool, several: bool = False) -> Property:
    """The property as one, of a network that is known, or of several (None)."""
    if isinstance(prop, Property):
        return prop
    if isinstance(prop, Question):
        if net is None:
            raise PropertyError("a Question is asked of one network, these are several; expected VNN-LIB or a Property")
        return prop.about(net.input_size, net.output_size)
    inputs, outputs = (None, None) if net is None or several else (net.input_size, net.output_size)
    if isinstance(prop, str) and "(" in prop and "assert" in prop:
        from ..instances.vnnlib.reader import parse_property

        return replace(parse_property(prop, inputs, outputs, "VNN-LIB text", strict), source="")
    if not isinstance(prop, (str, os.PathLike)):
        raise PropertyError(
            f"a property of type {type(prop).__name__}, expected a path, VNN-LIB text, a Property, or a Question"
        )
    from ..instances.vnnlib.reader import read_property

    return read_property(Path(prop), inputs, outputs, strict)


def _several(given: Mapping[str, Any], prop: Properties, strict: bool) -> Asked:
    from ..instances.rewriting.side_by_side import side_by_side

    prop = _property(prop, None, strict)
    where = prop.source or "property"
    declared = prop.networks or (Declared(next(iter(given), ""), ()),)  # version 1 names no network
    own = [d.name for d in declared if not d.equal_to]
    missing, more = [n for n in own if n not in given], [n for n in given if n not in own]
    if missing or more:
        what = f"no file for network {missing[0]}" if missing else f"a file for {more[0]}, which needs none"
        raise InputError(f"{where}: {what}; expected one for each of {', '.join(own)}")
    read = {name: _model(network) for name, network in given.items()}
    for d in declared:
        read.setdefault(d.name, read[d.equal_to or d.name])
    networks = [read[d.name].network for d in declared]
    for d, net in zip(declared, networks, strict=True):
        if d.tensors and d.sizes() != (net.input_size, net.output_size):
            raise PropertyError(
                f"{where}: network {d.name} has {d.sizes()[0]} inputs and {d.sizes()[1]} outputs there, but "
                f"{net.input_size} and {net.output_size} in {net.source or 'memory'}"
            )
        _hold_ports(d, net, where)
    whole = side_by_side(networks)
    return Asked(whole, _fitting(whole, prop), _contents([read[d.name] for d in declared], where))


def _contents(models: Sequence[Model], where: str) -> Content:
    """What is run of networks side by side: None where all are files, or where none is run."""
    if all(model.content is None for model in models):
        return None
    each = tuple(model.network.source if model.content is None else model.content for model in models)
    if not all(each):
        raise InputError(f"{where}: some of the networks are ONNX models, others plain arrays; expected one kind")
    return each


def _model(given: Any, options: Options | None = None, input_shape: tuple[int, ...] | None = None) -> Model:
    """A network; of a file with the inputs and outputs that the options name."""
    chosen = (options.input, options.output) if options else ("", "")
    if not isinstance(given, (str, os.PathLike)) or input_shape is not None:
        if any(chosen):
            raise InputError("options input and output choose among those of a file; this network is no path")
        return load_model(given, input_shape)
    from ..instances.onnx.reader import read_network

    return Model(read_network(Path(given), *map(named, chosen)))


def _fitting(network: Network, prop: Property) -> Property:
    where = prop.source or "property"
    if (prop.input_size, prop.output_size) != (network.input_size, network.output_size):
        raise PropertyError(
            f"{where}: {prop.input_size} inputs and {prop.output_size} outputs, but the network "
            f"{network.source or ''} has {network.input_size} and {network.output_size}{_choices(network)}"
        )
    if len(prop.networks) == 1:
        _hold_ports(prop.networks[0], network, where)
    check_rows(network.readout, prop)
    return prop


def _hold_ports(declared: Declared, network: Network, where: str) -> None:
    """PropertyError unless the declared tensors are the file's inputs and outputs, in order; one that is declared may
    stand for all of them."""
    for what, ports in (("input", network.inputs), ("output", network.outputs)):
        tensors = [tensor for tensor in declared.tensors if tensor.is_input == (what == "input")]
        sizes = [tensor.size for tensor in tensors], [port.size for port in ports]
        if len(tensors) > 1 and len(ports) and sizes[0] != sizes[1]:
            raise PropertyError(
                f"{where}: declares the {what}s {_told(tensors)}, but {network.source or 'the network'} has "
                f"{_told(ports)}; expected those of the file, in its order"
            )


def _told(parts: Sequence[Tensor] | Sequence[Port]) -> str:
    return ", ".join(f"{part.name} ({part.size})" for part in parts)


def _choices(network: Network) -> str:
    """What to do where the property means some of several inputs or outputs."""
    told = [
        f"{what}s are {_told(ports)}: choose with --{what} NAME"
        for what, ports in (("input", network.inputs), ("output", network.outputs))
        if len(ports) > 1
    ]
    return "".join(f"; its {words}" for words in told)
