"""The command line that the VNN-LIB standard asks of solvers.

    hypersplit verify QUERY.vnnlib --network f=f.onnx --network g=g.onnx --timeout 60 --serialise-assignments DIR
    hypersplit supports --onnx-operators
    hypersplit --name

The first line on stdout is `sat`, `unsat`, `unknown` or `timed-out`; `sat` is followed by every declared variable, NAME
TYPE [DIMENSIONS] and its values, one a line, row-major, unless they go into files. All else is told on stderr, and
whatever is answered, the exit code is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...instances.declarations import Declared, Tensor
from ...instances.errors import InputError
from ...instances.files import open_text
from ...instances.judges.witness import Witness
from ..run.result import Result

__all__ = ["CAPABILITIES", "answer_lines", "declared_in", "named", "serialise"]

_KINDS = {"float16": np.float16, "float32": np.float32, "float64": np.float64, "real": np.float64}


def named(words: list[str]) -> dict[str, str]:
    """NAME=FILE words as a mapping. Raises InputError."""
    found: dict[str, str] = {}
    for word in words:
        name, separator, path = word.partition("=")
        if not (name and separator and path):
            raise InputError(f"--network {word!r}: expected NAME=FILE")
        if name in found:
            raise InputError(f"--network {name}: given twice")
        found[name] = path
    return found


def declared_in(path: Path) -> tuple[Declared, ...]:
    """The networks of a query. A query of version 1 has one, with X and Y as its tensors."""
    from ...instances.vnnlib.reader import declarations

    with open_text(path) as file:
        return declarations(file.read(), str(path))


def answer_lines(result: Result, networks: tuple[Declared, ...], values: bool) -> list[str]:
    """What goes to stdout. values: whether the assignment belongs to it."""
    lines = ["timed-out" if result.verdict == "timeout" else result.verdict]
    if result.witness and values:
        for tensor in (t for network in networks for t in network.tensors):
            lines.append(f"{tensor.name} {tensor.spelled_kind} {tensor.dimensions}")
            lines += _decimals(result.witness, tensor)
    return lines


def serialise(witness: Witness, networks: tuple[Declared, ...], folder: Path) -> None:
    """One file NAME.pb a variable, an ONNX TensorProto of its type and shape; reals are doubles.

    Raises OSError where a file cannot be written.
    """
    from onnx import numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    for tensor in (t for network in networks for t in network.tensors):
        vector = witness.input if tensor.is_input else witness.output
        numbers = vector[tensor.first : tensor.first + tensor.size].astype(_KINDS[tensor.kind])
        proto = numpy_helper.from_array(numbers.reshape(tensor.shape), tensor.name)
        (folder / f"{tensor.name}.pb").write_bytes(proto.SerializeToString())


def _decimals(witness: Witness, tensor: Tensor) -> list[str]:
    places = range(tensor.first, tensor.first + tensor.size)
    if tensor.is_input:
        return [witness.decimal(i) for i in places]
    return [repr(float(witness.output[i])) for i in places]


def _opsets() -> list[str]:
    import onnx

    from ...instances.onnx.reader import OLDEST_OPSET

    return [str(OLDEST_OPSET), str(onnx.defs.onnx_opset_version())]


def _operators() -> list[str]:
    from ...instances.operators.table import OPERATORS

    return sorted(OPERATORS)


# What `supports` prints. A theory's smaller ones are listed besides: LIN holds BND and OUTC.
CAPABILITIES: dict[str, Callable[[], list[str]]] = {
    "onnx-opset-versions": _opsets,
    "onnx-element-types": lambda: ["real"],
    "onnx-operators": _operators,
    "vnnlib-versions": lambda: ["1.0", "2.0"],
    "hidden-node-theories": lambda: ["NH"],
    "multiple-input-output-theories": lambda: ["SIO", "MIO"],
    "multiple-network-theories": lambda: ["SNET", "MENET", "MINET", "MNET"],
    "multiple-node-comparison-theories": lambda: ["SNC", "MNC"],
    "arithmetic-complexity-theories": lambda: ["BND", "OUTC", "LIN"],
    "optimised-disjunctive-reasoning": lambda: ["true"],
    "serialise-assignments": lambda: ["true"],
}
