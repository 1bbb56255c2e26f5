"""What an ONNX file and a VNN-LIB file hold, as text for people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...instances.errors import UnsupportedOperatorError
from ...instances.network import Layer, Matrix, Network, Port, curved
from ...instances.property import Case, Property
from ..run.options import named

__all__ = ["describe"]

SHOWN_CASES = 10  # cases described one by one
SHOWN_SHORTCUTS = 10  # residual edges named one by one


def describe(
    network_path: str | os.PathLike[str],
    property_path: str | os.PathLike[str] | None = None,
    unstable: Sequence[int] | None = None,
    inputs: str = "",
    outputs: str = "",
) -> str:
    """Lines about a network and, where given, a property of it.

    Of a network that cannot be read for its operators they tell what the file says, and what is missing.

    unstable: number of unstable neurons of each layer, where somebody has bounded them.
    inputs, outputs: names of those that count, see `Options`.

    Raises InputError for files that cannot be understood, ValueError if `unstable` has
    not one number per layer.
    """
    from ...instances.onnx.reader import read_network

    try:
        network = read_network(Path(network_path), named(inputs), named(outputs))
    except UnsupportedOperatorError as error:
        return "\n".join([f"network   {network_path}", *_unread(network_path, error), *_alone(property_path)])
    if unstable is not None and len(unstable) != len(network.layers):
        count = len(network.layers)
        raise ValueError(f"unstable: {len(unstable)} numbers, expected one for each of {count} layers")
    lines = [f"network   {network_path}", *_network(network, unstable)]
    if property_path is not None:
        from ...instances.vnnlib.reader import read_property

        prop = read_property(Path(property_path), network.input_size, network.output_size)
        lines += [f"property  {property_path}", *_property(prop)]
    return "\n".join(lines)


def _unread(path: str | os.PathLike[str], error: UnsupportedOperatorError) -> Iterator[str]:
    from ...instances.onnx.outline import outline

    told = outline(path)
    yield "operators " + ", ".join(f"{name} x{count}" for name, count in told.operators.items())
    yield f"shapes    {', '.join(told.inputs)} -> {', '.join(told.outputs)}; operator set {told.opset}"
    yield f"missing   {error}: it cannot be verified"


def _alone(path: str | os.PathLike[str] | None) -> Iterator[str]:
    """A property without its network."""
    if path is not None:
        from ...instances.vnnlib.reader import read_property

        yield f"property  {path}"
        yield from _property(read_property(Path(path)))


def _network(network: Network, unstable: Sequence[int] | None) -> Iterator[str]:
    yield "operators " + ", ".join(f"{name} x{count}" for name, count in network.operators.items())
    yield (
        f"shapes    {network.input_name} {_shape(network.input_shape)} -> "
        f"{network.output_name} {_shape(network.output_shape)}; "
        f"{_count(network.input_size, 'input')}, {_count(network.output_size, 'output')}"
    )
    for what, ports, letter in (("inputs", network.inputs, "X"), ("outputs", network.outputs, "Y")):
        if len(ports) > 1:
            yield f"{what:9s} {_counted(ports, letter)}"
    if network.readout:
        ends = " and ".join(sorted(set(network.readout.kinds) - {""}))
        yield f"order     the outputs end in {ends}: properties may only compare them, as the layers below do"
    if network.unmodelled:
        yield f"rounding  {network.unmodelled}: nothing can be proved of this file"
    names = {"relu": "ReLU", "sigmoid": "sigmoid", "tanh": "tanh"}
    names |= {layer.kind: layer.kind for layer in network.layers if curved(layer.kind) and layer.kind not in names}
    kinds = {kind: sum(x.size for x in network.layers if x.kind == kind) for kind in names}
    counts = [f"{_grouped(n)} {names[kind]}" for kind, n in kinds.items() if n or kind == "relu"]
    coefficients = sum(_coefficients(layer) for layer in network.layers)
    yield f"neurons   {', '.join(counts)}; {_grouped(coefficients)} parameters, zeros left out"
    shortcuts = [f"{'x' if s == 0 else s} -> {k}" for s, k in network.shortcuts]
    if len(shortcuts) > SHOWN_SHORTCUTS:
        shortcuts[SHOWN_SHORTCUTS:] = [f"{len(shortcuts) - SHOWN_SHORTCUTS} more"]
    residual = f"; residual edges {', '.join(shortcuts)}" if shortcuts else ", no residual edges"
    yield f"graph     {_count(network.depth, 'layer')} on the longest path{residual}"
    yield f"layers    {len(network.layers)}, as affine maps and activations:"
    for k, layer in enumerate(network.layers, start=1):
        yield _layer(k, layer, None if unstable is None else unstable[k - 1])
    if unstable is not None:
        total, relus = sum(unstable), kinds["relu"]
        yield f"unstable  {_grouped(total)} of {_grouped(relus)} ReLUs ({total / max(relus, 1):.0%})"


def _counted(ports: Sequence[Port], letter: str) -> str:
    """Which variables stand for the entries of each port."""
    ends = np.cumsum([port.size for port in ports]).tolist()
    return ", ".join(
        f"{p.name} {_shape(p.shape)} {letter}_{end - p.size}..{letter}_{end - 1}"
        for p, end in zip(ports, ends, strict=True)
    )


def _layer(k: int, layer: Layer, unstable: int | None) -> str:
    sources = " + ".join("x" if s == 0 else f"layer {s}" for s in layer.sources) or "constant"
    form = " + ".join(_form(w) for w in layer.weights) or "no weights"
    count = _grouped(_coefficients(layer))
    text = f"  {k:3d}  {layer.kind:8s} {layer.size:6d}  from {sources}, {form}, {count} parameters"
    return text if unstable is None or layer.kind != "relu" else f"{text}, {unstable} unstable"


def _form(weight: Matrix) -> str:
    if isinstance(weight, np.ndarray):
        return "dense"
    return f"sparse ({weight.nnz / max(1, weight.shape[0] * weight.shape[1]):.1%} filled)"


def _coefficients(layer: Layer) -> int:
    """Entries of the affine map and its bias that are not zero; a convolution counts as its matrix."""
    weights = [np.count_nonzero(w) if isinstance(w, np.ndarray) else w.count_nonzero() for w in layer.weights]
    return int(np.count_nonzero(layer.bias)) + sum(map(int, weights))


def _property(prop: Property) -> Iterator[str]:
    disjuncts = sum(len(case.forbidden) for case in prop.cases)
    rows = sum(len(p.rows) for case in prop.cases for p in case.forbidden)
    joint = ", mixing inputs and outputs" if prop.joint else ""
    yield (
        f"asks      {_count(len(prop.cases), 'input set')}, "
        f"{_count(disjuncts, 'forbidden output polyhedron')}, {_count(rows, 'row')}{joint}"
    )
    for k, case in enumerate(prop.cases[:SHOWN_CASES], start=1):
        yield f"  {k:3d}  {_case(case)}"
    if len(prop.cases) > SHOWN_CASES:
        yield f"       and {len(prop.cases) - SHOWN_CASES} more"


def _case(case: Case) -> str:
    region = case.region
    width = region.upper - region.lower
    open_inputs = width > 0
    text = f"{_count(int(open_inputs.sum()), 'open input')}, {int((~open_inputs).sum())} fixed"
    if open_inputs.any():
        small, large = width[open_inputs].min(), width[open_inputs].max()
        text += f", widths {small:.4g}" + (f" to {large:.4g}" if large > small else "")
    if len(region.rows):
        text += f", {_count(len(region.rows), 'half-space')}"
    if region.ball is not None:
        text += f", l{region.ball.norm} ball of radius {region.ball.radius:.4g}"
    rows = " or ".join(map(str, sorted({len(p.rows) for p in case.forbidden}))) or "no"
    return f"{text}; forbidden: {_count(len(case.forbidden), 'disjunct')}, rows each: {rows}"


def _shape(shape: Sequence[int]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _count(n: int, what: str) -> str:
    plural = what[:-2] + "a" if what.endswith("hedron") else f"{what}s"
    return f"{_grouped(n)} {what if n == 1 else plural}"


def _grouped(n: int) -> str:
    return f"{n:,}".replace(",", " ")
