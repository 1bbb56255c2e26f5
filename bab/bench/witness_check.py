"""A second look at a witness, as a competition's judge takes it: the ONNX file is run, the VNN-LIB evaluated.

It shares nothing with the search or with `instances/judges/replay.py` but the reader of VNN-LIB. The input is cast
to the model's type; each coordinate must lie in the box, except where the interval holds no number of that
type: there the nearest below or above it will do. Half-spaces and outputs are evaluated in Fractions. Among equalities
an input is the rounding of a point that satisfies them: half-spaces get what that may be off by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ...instances.errors import InputError
from ...instances.files import read_model_bytes
from ...instances.judges.runtime import AS_WRITTEN, load_model
from ...instances.judges.witness import read_witness
from ...instances.network import Array
from ...instances.onnx.one_type import DOUBLE, in_one_type, takes_floats
from ...instances.property import Case, InputSet, Property
from ...instances.vnnlib.reader import read_property

__all__ = ["check_witness"]

_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    **{f"tensor({sign}int{bits})": np.dtype(f"{sign}int{bits}").type for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def check_witness(network: Path | Mapping[str, Path], prop: Path, result: Path) -> str:
    """ "valid", or what is wrong with the witness in result file `result`.

    network: the file, or several by the names that the property declares.
    """
    try:
        x = read_witness(result.read_text(encoding="utf-8"), str(result)).input
        if isinstance(network, Path):
            x, y, kind = _run(network, x)
            return _judge(read_property(prop, len(x), len(y)), x, y, kind)
        asked = read_property(prop, len(x))
        return _judge(asked, *_run_all(network, asked, x))
    except (InputError, OSError) as error:
        return str(error)


def _run_all(networks: Mapping[str, Path], prop: Property, x: Array) -> tuple[Array, Array, Any]:
    """As `_run`, of several networks, each on its part of the input."""
    runs, first = [], 0
    for declared in prop.networks:
        path = networks.get(declared.equal_to or declared.name)
        if path is None:
            raise InputError(f"{prop.source}: no file for network {declared.name}")
        size = declared.sizes()[0]
        runs.append(_run(path, x[first : first + size]))
        first += size
    kind = min((kind for _, _, kind in runs), key=lambda kind: np.dtype(kind).itemsize)
    return np.concatenate([x for x, _, _ in runs]), np.concatenate([y for _, y, _ in runs]), kind


def _run(network: Path, x: Array) -> tuple[Array, Array, Any]:
    """The input as the model takes it and the output, both float64, and the model's input type."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.add_session_config_entry(*AS_WRITTEN)
    model = str(network) if network.suffix != ".gz" and network.exists() else read_model_bytes(network)
    try:
        try:
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception:  # the same; a mixture of float and double is judged by a copy in double
            proto = load_model(network)
            x = x.astype(np.float32) if takes_floats(proto) else x
            copy = in_one_type(proto, DOUBLE).SerializeToString()
            session = ort.InferenceSession(copy, options, providers=["CPUExecutionProvider"])
        given, kinds, start = {}, set(), 0
        for asked in session.get_inputs():
            kind = x.dtype.type if x.dtype == np.float32 else _TYPES[asked.type]
            shape = [d if isinstance(d, int) and d > 0 else 1 for d in asked.shape]
            part = x[start : start + math.prod(shape)].astype(kind).astype(_TYPES[asked.type])
            given[asked.name], start = part.reshape(shape) if part.size == math.prod(shape) else part, start + len(part)
            kinds.add(kind)
        cast = np.concatenate([part.ravel().astype(np.float64) for part in given.values()])
        wanted = sum(math.prod(d for d in i.shape if isinstance(d, int) and d > 0) for i in session.get_inputs())
        if len(cast) != len(x) or wanted != len(x):
            raise InputError(f"the witness has {len(x)} inputs, the model takes {wanted}")
        y = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in session.run(None, given)])
        # of integers, and where types are mixed, no number may lie beside the box
        kind = kinds.pop() if len(kinds) == 1 and kinds <= {np.float16, np.float32, np.float64} else np.float64
    except InputError:
        raise
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise InputError(f"{network}: onnxruntime: {str(error).strip().splitlines()[0]}") from error
    return cast, y, kind


def _judge(prop: Property, x: Array, y: Array, kind: Any) -> str:
    if not np.all(np.isfinite(y)):
        return "the output is not finite"
    wrong = [_case(case, x, y, kind, prop.joint) for case in prop.cases]
    return "valid" if "" in wrong else (wrong[0] if wrong else "the property has no case to violate")


def _case(case: Case, x: Array, y: Array, kind: Any, joint: bool) -> str:
    """What is wrong with (x, y) as a solution of this case, "" for nothing."""
    region = case.region
    tied = len(region.equal) > 0
    play = np.spacing(np.abs(x).astype(kind)).astype(np.float64) * tied  # what rounding to `kind` may move a point by
    near = np.abs(x - np.clip(x, region.lower, region.upper)) <= play
    inside = _in_box(region, x, kind) | (near & tied)
    outside = np.flatnonzero(np.logical_not(inside))
    if len(outside):
        i = outside[0]
        ends = "(["[not region.strict_lower[i]], ")]"[not region.strict_upper[i]]
        interval = f"{ends[0]}{float(region.lower[i])!r}, {float(region.upper[i])!r}{ends[1]}"
        return f"X_{i} = {float(x[i])!r} is outside {interval}"
    offsets = region.offsets + np.abs(region.rows) @ play
    if not _satisfied(-region.rows, offsets, region.strict, x):
        return "the input violates a linear constraint on inputs"
    point = np.concatenate([y, x]) if joint else y
    if any(_satisfied(p.rows, p.rhs, p.strict, point) for p in case.forbidden):
        return ""
    return "the output is not forbidden"


def _satisfied(rows: Array, rhs: Array, strict: Array, point: Array) -> bool:
    """rows @ point <= rhs, < where strict, in Fractions."""
    for row, bound, without in zip(rows, rhs, strict, strict=True):
        value, limit = _value(row, point), Fraction(float(bound))
        if value > limit or (without and value == limit):
            return False
    return True


def _in_box(region: InputSet, x: Array, kind: Any) -> Any:
    """[n] bool: coordinates that lie in the interval, or next to one that holds no number of type `kind`."""
    lower = np.where(region.strict_lower, np.nextafter(region.lower, np.inf), region.lower)
    upper = np.where(region.strict_upper, np.nextafter(region.upper, -np.inf), region.upper)
    inside = (lower <= x) & (x <= upper)
    if kind is np.float64:
        return inside | ((lower > upper) & (region.lower < region.upper) & ((x == region.lower) | (x == region.upper)))
    low = lower.astype(kind)
    below = low.astype(np.float64) < lower
    first = np.where(below, np.nextafter(low, kind(np.inf)), low)  # at or above `lower`
    last = np.nextafter(first, kind(-np.inf))
    empty = first.astype(np.float64) > upper
    return inside | (empty & ((x == first) | (x == last)))


def _value(row: Array, numbers: Array) -> Fraction:
    used = np.flatnonzero(row)
    return sum((Fraction(float(row[i])) * Fraction(float(numbers[i])) for i in used), Fraction(0))
