"""The ONNX file itself, run in onnxruntime: one thread, quiet, one flat input, one flat output.

A file that mixes float and double, which onnxruntime refuses, is run as a copy of one type, double if it has that
for every operator and else float; `Session.note` says so.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, ReplayError
from ..files import read_model_bytes
from ..network import Array, Network
from ..onnx.one_type import DOUBLE, FLOAT, float_types, in_one_type, takes_floats

__all__ = ["Float", "Session", "load_model"]

Float = type[np.float16] | type[np.float32] | type[np.float64]
_TYPES: dict[str, Float] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}


class Session:
    """An onnxruntime session with one flat input and one flat output.

    dtype: type of the inputs that the file takes; note: how what is run differs from the file, "" for not at all.
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
        if len(inputs) != 1:
            raise ReplayError(
                f"{name}: the model takes {len(inputs)} inputs ({[i.name for i in inputs]}), expected one"
            )
        self.input = inputs[0]
        if self.input.type not in _TYPES:
            raise ReplayError(
                f"{name}: input {self.input.name} is {self.input.type}, expected one of {list(_TYPES)}"
            )
        self.fed = self.dtype = _TYPES[self.input.type]
        if self.note and self.narrow:
            self.dtype = np.float32
        outputs = [o.name for o in self.session.get_outputs()]
        self.output = network.output_name if network.output_name in outputs else outputs[0]
        self.shape = self._shape(network)
        open_batch = len(self.shape) > 0 and not isinstance(self.input.shape[0], int)
        self.batches = None if open_batch else False  # whether it takes batches; None: not tried yet

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

    def _shape(self, network: Network) -> tuple[int, ...]:
        """Shape of a single input; a dimension the file leaves open is 1, or what is missing to the size."""
        shape = [d if isinstance(d, int) and d > 0 else 1 for d in self.input.shape]
        free = [i for i, d in enumerate(self.input.shape) if not isinstance(d, int)]
        if len(network.input_shape) == len(shape):
            for i in free:
                shape[i] = max(network.input_shape[i], 1)
        if math.prod(shape) != network.input_size and free:
            shape[free[-1]] = 1
            shape[free[-1]] = network.input_size // math.prod(shape)
        if math.prod(shape) != network.input_size:
            raise ReplayError(
                f"{self.name}: the model takes {self.input.shape}, "
                f"the network has {network.input_size} inputs"
            )
        return tuple(shape)

    def single(self, x: Array) -> Array:
        """Output [m] for one input [n]."""
        y: Array = self._call(np.asarray(x).reshape(self.shape), 1)[0]
        return y

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
            return self._call(x.reshape(len(x), *self.shape[1:]), len(x))
        return np.array([self.single(row) for row in x])

    def _takes_batches(self, x: Array) -> bool:
        """Whether a batch gives what its rows give one by one; a Reshape to a fixed shape can spoil that."""
        if self.shape[0] != 1:
            return False
        try:
            whole = self._call(x.reshape(len(x), *self.shape[1:]), len(x))
        except InputError:
            return False
        ends = np.stack([self.single(x[0]), self.single(x[-1])])
        return bool(np.allclose(whole[[0, -1]], ends, rtol=1e-3, atol=1e-5, equal_nan=True))

    def _call(self, x: Array, count: int) -> Array:
        try:
            given = x.astype(self.dtype).astype(self.fed)
            (y,) = self.session.run([self.output], {self.input.name: given})
        except Exception as error:  # as above
            raise ReplayError(f"{self.name}: onnxruntime cannot run it ({_first_line(error)})") from error
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
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def load_model(model: str | Path | bytes) -> Any:
    """The ModelProto of a file or its bytes, with the weights that are stored beside it."""
    import onnx

    content = model if isinstance(model, bytes) else _content(model)
    return onnx.load(content) if isinstance(content, str) else onnx.ModelProto.FromString(content)


def _content(path: str | Path) -> str | bytes:
    """The path where onnxruntime can open it (and find weights stored beside the model), else the bytes."""
    plain = Path(path)
    return str(plain) if plain.is_file() and plain.suffix != ".gz" else read_model_bytes(path)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
