"""The ONNX file itself, run in onnxruntime: one thread, quiet, its inputs and its outputs flat, one after another.

A file that mixes float and double, which onnxruntime refuses, is run as a copy of one type, double if it has that
for every operator and else float; `Session.note` says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError, ReplayError
from ..files import read_model_bytes
from ..network import Array, Network
from ..onnx.one_type import DOUBLE, FLOAT, float_types, in_one_type, takes_floats, without_functions

__all__ = ["AS_WRITTEN", "Float", "Grid", "Session", "load_model"]

Float = type[np.float16] | type[np.float32] | type[np.float64]
Grid = tuple[tuple[slice, Any], ...]  # parts of an input, and the numpy type of the numbers that each may hold
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
# a product with dequantised weights as the file has it, not one that quantises the other factor, too
AS_WRITTEN = ("session.disable_quant_qdq", "1")
_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    **{f"tensor({name})": np.dtype(name).type for name in INTEGERS},
}


class _Feed(NamedTuple):
    """One input of the model, and which of the network's inputs it takes."""

    name: str
    shape: tuple[int, ...]
    part: slice  # of x; empty for an input that does not count, which is fed with zeros
    dtype: Any  # type of the numbers that it takes, in the file
    fed: Any  # the same in what is run, which may be a copy


class Session:
    """An onnxruntime session with flat inputs, one after another, and flat outputs.

    dtype: float type that the file computes in; note: how what is run differs from the file, "" for not at all.
    Raises ReplayError where onnxruntime cannot load or run the model, or it does not fit the network.
    """

    def __init__(self, model: str | Path | bytes, name: str, network: Network) -> None:
        self.name, self.output_size, self.note, self.narrow = name, network.output_size, "", False
        self.model = model
        try:
            self.session = _start(model if isinstance(model, bytes) else _content(model))
        except InputError as error:
            raise ReplayError(str(error)) from error
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            self.session = self._copy(model, network, _first_line(error))
        inputs = self.session.get_inputs()
        if len(inputs) != max(len(network.inputs), 1) and not network.inputs:
            raise ReplayError(
                f"{name}: the model takes {len(inputs)} inputs ({[i.name for i in inputs]}), expected one"
            )
        for given in inputs:
            if given.type not in _TYPES:
                raise ReplayError(f"{name}: input {given.name} is {given.type}, expected one of {list(_TYPES)}")
        self.feeds = self._several(network) if len(inputs) > 1 else [self._single(inputs[0], network)]
        floats = [f.dtype for f in self.feeds if np.dtype(f.dtype).kind == "f"]
        self.dtype: Float = min(floats, key=lambda dtype: np.dtype(dtype).itemsize, default=np.float32)
        known = [o.name for o in self.session.get_outputs()]
        wanted = [port.name for port in network.outputs] or [network.output_name]
        self.outputs = wanted if set(wanted) <= set(known) else known[:1]
        first = inputs[0].shape
        open_batch = len(self.feeds) == 1 and len(self.feeds[0].shape) > 0 and not isinstance(first[0], int)
        # whether it takes batches; None: not tried yet
        self.batches = None if open_batch and len(self.outputs) == 1 else False

    @property
    def grid(self) -> Grid:
        """Which numbers each part of x may hold."""
        return tuple((feed.part, feed.dtype) for feed in self.feeds if feed.part.stop > feed.part.start)

    def _single(self, given: Any, network: Network) -> _Feed:
        """The only input, whatever its name."""
        fed = _TYPES[given.type]
        dtype = np.float32 if self.note and self.narrow else fed
        return _Feed(given.name, self._shape(given.shape, network), slice(0, network.input_size), dtype, fed)

    def _several(self, network: Network) -> list[_Feed]:
        """The inputs by their names."""
        feeds, start, ports = [], 0, {port.name: port for port in network.inputs}
        ends = dict(zip(ports, np.cumsum([port.size for port in network.inputs]).tolist(), strict=True))
        for given in self.session.get_inputs():
            fed, port = _TYPES[given.type], ports.pop(given.name, None)
            if port is None:
                shape = tuple(d if isinstance(d, int) and d > 0 else 1 for d in given.shape)
                feeds.append(_Feed(given.name, shape, slice(0, 0), fed, fed))
                continue
            start, stop = ends[port.name] - port.size, ends[port.name]
            own = np.float32 if self.note and port.element == FLOAT else fed
            feeds.append(_Feed(given.name, port.shape, slice(start, stop), own, fed))
        if ports:
            raise ReplayError(f"{self.name}: the model has no input {next(iter(ports))!r}")
        return feeds

    def _copy(self, model: str | Path | bytes, network: Network, why: str) -> Any:
        """A session of a copy in one type, for a model that mixes two and is refused."""
        refused = f"{self.name}: onnxruntime cannot load it ({why})"
        try:
            proto = load_model(model)
            kinds = float_types(proto)
        except Exception as error:  # the same bytes that onnxruntime has just refused: any damage
            raise ReplayError(refused) from error
        if kinds != {FLOAT, DOUBLE} or network.unmodelled:
            raise ReplayError(refused)
        for kind, name in ((DOUBLE, "double"), (FLOAT, "float")):
            try:
                session = _start(in_one_type(proto, kind).SerializeToString())
            except InputError as error:
                raise ReplayError(f"{refused}, and no copy of one type can be made: {error}") from error
            except Exception:  # an operator that onnxruntime has not in double
                continue
            self.note = f"run as a copy with all floats {name}, since onnxruntime refuses the file itself ({why})"
            self.narrow = takes_floats(proto)
            return session
        raise ReplayError(f"{refused}, nor a copy whose floats are all of one type")

    def _shape(self, stated: Sequence[Any], network: Network) -> tuple[int, ...]:
        """Shape of the only input; a dimension the file leaves open is 1, or what is missing to the size."""
        shape = [d if isinstance(d, int) and d > 0 else 1 for d in stated]
        free = [i for i, d in enumerate(stated) if not isinstance(d, int)]
        if len(network.input_shape) == len(shape):
            for i in free:
                shape[i] = max(network.input_shape[i], 1)
        if math.prod(shape) != network.input_size and free:
            shape[free[-1]] = 1
            shape[free[-1]] = network.input_size // math.prod(shape)
        if math.prod(shape) != network.input_size:
            raise ReplayError(
                f"{self.name}: the model takes {list(stated)}, "
                f"the network has {network.input_size} inputs"
            )
        return tuple(shape)

    def single(self, x: Array) -> Array:
        """Output [m] for one input [n]."""
        return self._call(np.asarray(x)[None], 1)[0]

    def pieces(self, x: Array) -> list[tuple[Session, Array]]:
        """Every session with its part of x [..., n]: this one, with all of it."""
        return [(self, x)]

    def run(self, x: Array) -> Array:
        """Outputs [B, m] for inputs [B, n]."""
        if len(x) == 0:
            return np.zeros((0, self.output_size), dtype=np.float32)
        if self.batches is None and len(x) > 1:
            self.batches = self._takes_batches(x)
        if self.batches:
            return self._call(x, len(x))
        return np.array([self.single(row) for row in x])

    def _takes_batches(self, x: Array) -> bool:
        """Whether a batch gives what its rows give one by one; a Reshape to a fixed shape can spoil that."""
        if self.feeds[0].shape[0] != 1:
            return False
        try:
            whole = self._call(x, len(x))
        except InputError:
            return False
        ends = np.stack([self.single(x[0]), self.single(x[-1])])
        return bool(np.allclose(whole[[0, -1]], ends, rtol=1e-3, atol=1e-5, equal_nan=True))

    def given(self, x: Array, double: bool = False) -> dict[str, Array]:
        """What the model's inputs get for inputs [B, n] of the network, B > 1 only where it takes batches.

        double: for a copy whose floats are all double.
        """
        result = {}
        for feed in self.feeds:
            fed = np.float64 if double and np.dtype(feed.fed).kind == "f" else feed.fed
            part = x[:, feed.part].astype(feed.dtype).astype(fed)
            shape = feed.shape if len(x) == 1 else (len(x), *feed.shape[1:])
            result[feed.name] = part.reshape(shape) if part.size else np.zeros(feed.shape, dtype=fed)
        return result

    def _call(self, x: Array, count: int) -> Array:
        try:
            found = self.session.run(self.outputs, self.given(x))
        except Exception as error:  # as above
            raise ReplayError(f"{self.name}: onnxruntime cannot run it ({_first_line(error)})") from error
        y = found[0] if len(found) == 1 else np.concatenate([np.asarray(part, np.float64).ravel() for part in found])
        if y.size != count * self.output_size:
            raise ReplayError(
                f"{self.name}: {y.size} outputs for {count} inputs, expected {self.output_size} each"
            )
        return np.asarray(y).reshape(count, self.output_size)


def _start(content: str | bytes) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # failures arrive as exceptions
    options.add_session_config_entry(*AS_WRITTEN)
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def load_model(model: str | Path | bytes) -> Any:
    """The ModelProto of a file or its bytes, with the weights that are stored beside it, and without own functions."""
    import onnx

    content = model if isinstance(model, bytes) else _content(model)
    proto = onnx.load(content) if isinstance(content, str) else onnx.ModelProto.FromString(content)
    return without_functions(proto)


def _content(path: str | Path) -> str | bytes:
    """The path where onnxruntime can open it (and find weights stored beside the model), else the bytes."""
    plain = Path(path)
    return str(plain) if plain.is_file() and plain.suffix != ".gz" else read_model_bytes(path)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
