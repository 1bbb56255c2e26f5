"""A net before `unsat`: a few inputs of each input set are run in the ONNX file itself.

A bound proves something about the network that was read; a fault in reading would make it a proof about another
network. So the file's outputs at a few inputs are held against the real-valued network's. They differ by the
roundings of a float32 evaluation, and how much these can do is measured: the network is evaluated with noise of
relative size NOISE on every number that a layer reads, which passes through the same magnitudes, cancellations
and weights as roundings do. The file may be off by ALLOWED times the largest effect of that noise.

What is off by more gets a second look, an evaluation of a copy of the file in double (onnx's own reference, numpy).
    It agrees with the network        float32 explains it, by overflow or cancellation: the real-valued network
                                      is not affected, and a note says so.
    The file's numbers are so large
    that double may not be enough     nothing is known; the verdict is `unknown`.
    Neither                           the network was misread: DisagreementError, never a verdict.

Inputs at which a step's argument is so near its jump that rounding decides between its values are not held against the
network.

And a file whose own output is forbidden at one of these inputs has a witness, whatever was proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..curves.names import curve
from ..errors import DisagreementError
from ..network import Array, Matrix, Network, activate, curved
from ..onnx.one_type import DOUBLE, in_one_type
from ..property import InputSet
from ..query import Query
from ..rounding import DOUBLE_NOISE, NOISE
from .replay import Replay, round_into
from .runtime import load_model
from .witness import Witness

__all__ = ["Findings", "cross_check"]

MOST_POINTS = 16  # inputs of each input set
LEAST_POINTS = 2
ALL_POINTS = 512  # inputs of all input sets together
WORK = 4e7  # products of all evaluations together: a tenth of a second
ENTRIES = 4e6  # numbers in all inputs together: 32 MB
DRAWS = 2  # evaluations with noise
ALLOWED = 64.0  # roundings add up more evenly than noise does, and by long sums; four units times this is 2^-14 of them


class Findings(NamedTuple):
    """What the file's own outputs showed."""

    witness: Witness | None = None
    query: Query | None = None  # whose witness it is
    note: str = ""  # for people: a difference that float32 explains
    doubt: str = ""  # why nothing is proved: a difference that nothing explains for sure


def cross_check(replay: Replay, queries: Sequence[Query], joint: bool, rng: np.random.Generator) -> Findings:
    """Run the file at a few inputs of each query's region.

    Raises ReplayError where the file cannot be run, DisagreementError where the network is not the file's.
    """
    network, dtype = replay.network, replay.session.grid
    chosen, count = _shares(network, queries)
    findings = Findings()
    for query in chosen:
        points = _points(query.region, count, dtype, rng)
        points = points[np.isfinite(points).all(axis=1)]  # without those that would have to be integers
        if not len(points):
            continue
        given = np.asarray(replay.run(points), dtype=np.float64)
        suspects = points[_margins(query, points, given) <= 0.0]
        for x in suspects:
            if witness := replay.check(query.case, x, joint):
                return Findings(witness, query)
        if not network.unmodelled and not findings.doubt:
            findings = _compared(replay, points, given, rng) or findings
    return findings


def _shares(network: Network, queries: Sequence[Query]) -> tuple[Sequence[Query], int]:
    """The queries to look at, evenly spread where they are many, and how many inputs each gets."""
    products = sum(w.nnz if not isinstance(w, np.ndarray) else w.size for x in network.layers for w in x.weights)
    afford = min(WORK / (max(products, 1) * (2 + DRAWS)), ENTRIES / network.input_size, ALL_POINTS)
    count = int(np.clip(afford // max(len(queries), 1), LEAST_POINTS, MOST_POINTS))
    most = max(1, int(afford) // count)
    if len(queries) <= most:
        return queries, count
    return [queries[i] for i in np.linspace(0, len(queries) - 1, most).astype(int)], count


def _points(region: InputSet, count: int, dtype: Any, rng: np.random.Generator) -> Array:
    """[<= count, n] values of `dtype`: the middle, the two extreme corners, then other corners and random inputs.

    dtype: one type for all inputs, or a grid of types of parts of them.
    All are moved into the norm ball, if there is one. Half-spaces are not minded: a file and its network agree outside
    them too, and a witness is tested for them.
    """
    lower, upper = region.lower, region.upper
    if np.array_equal(lower, upper):
        count = 1
    share = rng.random((count, region.size))
    share[: min(3, count)] = np.array([[0.5], [0.0], [1.0]])[:count]
    corners = slice(3, 3 + (count - 3) // 2 if count > 3 else 3)
    share[corners] = np.round(share[corners])
    points = lower * (1.0 - share) + upper * share  # their difference may overflow
    if region.ball is not None:
        kinds = {kind for _, kind in dtype} if isinstance(dtype, tuple) else {dtype}
        floats = [kind for kind in kinds if np.dtype(kind).kind == "f"]
        points = region.ball.inward(points, lower, upper, floats[0] if len(floats) == 1 else np.float32)
    return np.array([round_into(region, x, dtype)[0] for x in np.clip(points, lower, upper)])


def _margins(query: Query, x: Array, y: Array) -> Array:
    """[B] the query's worst margins for inputs [B, n] and outputs [B, m]; <= 0 for a counterexample."""
    layer = query.network.layers[-1]
    margins = layer.bias[None, :].repeat(len(x), axis=0)
    for s, w in zip(layer.sources, layer.weights, strict=True):
        margins += _times(w, y if s else x)
    return query.worst(margins)


def _compared(replay: Replay, points: Array, given: Array, rng: np.random.Generator) -> Findings | None:
    """None where the file's outputs are the network's up to float32's rounding."""
    network = replay.network
    seen, noise = network.readout.of if network.readout else np.asarray, NOISE[replay.session.dtype]
    values, pre = network.values(points)
    draws = [_with_noise(network, points, noise, rng) for _ in range(DRAWS)]
    clear = _clear_of_jumps(network, pre, [shaken for _, shaken in draws], noise)
    if not clear.any():
        return None
    points, given, real = points[clear], given[clear], seen(values[-1][clear])
    noisy = np.array([seen(outputs[clear]) for outputs, _ in draws])
    if not (np.isfinite(real).all() and np.isfinite(noisy).all()):
        return Findings(doubt="the network overflows float64 inside the input set")
    allowed = ALLOWED * (float(np.abs(noisy - real).max()) + noise * float(np.abs(real).max()))
    difference = np.abs(given - real).max(axis=1)
    worst = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
    if difference[worst] <= allowed:
        return None
    return _second_look(replay, points[worst], real[worst], given[worst], allowed)


def _clear_of_jumps(network: Network, pre: list[Array], shaken: list[list[Array]], noise: float) -> Array:
    """[B] bool: inputs at which rounding does not decide on which side of a jump an argument is.

    pre: the pre-activations [B, size] of each layer; shaken: the same with noise, one list a draw.
    """
    clear = np.ones(len(pre[0]), dtype=bool)
    for k, layer in enumerate(network.layers):
        if curved(layer.kind) and (told := curve(layer.kind)).steps:
            off = np.max([np.abs(draw[k] - pre[k]) for draw in shaken], axis=0) + noise * np.abs(pre[k])
            near = ~(told.to_jump(pre[k]) > ALLOWED * off.max(axis=1, keepdims=True, initial=0.0))
            clear &= ~near.any(axis=1)
    return clear


def _with_noise(network: Network, x: Array, noise: float, rng: np.random.Generator) -> tuple[Array, list[Array]]:
    """f(x), and all pre-activations, with every number that a layer reads off by a factor 1 + noise * N(0, 1), each on
    its own."""

    def shaken(values: Array) -> Array:
        return np.asarray(values * (1.0 + noise * rng.standard_normal(values.shape)))

    values, pre = [x], []
    for layer in network.layers:
        z = shaken(layer.bias[None, :].repeat(len(x), axis=0))
        for s, w in zip(layer.sources, layer.weights, strict=True):
            z += _times(w, shaken(values[s]))
        pre.append(z)
        values.append(activate(layer.kind, z))
    return values[-1], pre


def _times(w: Matrix, x: Array) -> Array:
    """x [B, n] times the transpose of w [m, n]."""
    return np.asarray(x @ w.T if isinstance(w, np.ndarray) else (w @ x.T).T)


def _second_look(replay: Replay, x: Array, real: Array, given: Array, allowed: float) -> Findings:
    """What to make of an output of the file that float32's rounding at ordinary magnitudes does not explain."""
    shown = ", ".join(repr(float(v)) for v in x[:10]) + (", ..." if len(x) > 10 else "")
    k = int(np.argmax(np.where(np.isfinite(given), np.abs(given - real), np.inf)))
    told = (
        f"at the input ({shown}) the file's output {k} is {float(given[k])!r}, "
        f"the real-valued network's {float(real[k])!r}, "
        f"and {allowed:.3g} is what rounding explains"
    )
    try:
        double, largest = _in_double(replay, x)
    except Exception as error:  # whatever onnx's reference makes of operators and shapes
        why = " ".join(f"{type(error).__name__}: {error}".split())
        return Findings(doubt=f"{told}; a look in double failed ({why})")
    off = float(np.abs(double - real).max()) if double.shape == real.shape else np.inf
    if off <= allowed:
        return Findings(note=f"{told}; float32 overflows or cancels there, in double they agree")
    if not off > DOUBLE_NOISE * largest:
        return Findings(doubt=f"{told}; it passes through numbers of size {largest:.3g}")
    raise DisagreementError(f"{replay.name} is misread: {told}, in double the file has {double.tolist()[k : k + 1]}")


def _in_double(replay: Replay, x: Array) -> tuple[Array, float]:
    """The output of the file (or files) at x, all of it computed in double, and the largest number on the way."""
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun
    from scipy.special import erf

    class Erf(OpRun):  # type: ignore[misc, unused-ignore]  # onnx's own answers in float32
        op_domain = ""

        def _run(self, x: Array) -> tuple[Array]:
            return (np.asarray(erf(x)).astype(x.dtype),)

    outputs, sizes = [], [0.0]
    for session, part in replay.session.pieces(x):
        evaluator = ReferenceEvaluator(in_one_type(load_model(session.model), DOUBLE), new_ops=[Erf])
        everything = evaluator.run(None, session.given(part[None], double=True), intermediate=True)
        assert isinstance(everything, dict)
        floats = [np.asarray(v) for v in everything.values() if v is not None]
        sizes += [float(np.abs(v).max(initial=0.0)) for v in floats if v.dtype.kind == "f"]
        outputs += [np.asarray(everything[name], dtype=np.float64).ravel() for name in session.outputs]
    return np.concatenate(outputs), max(sizes)
