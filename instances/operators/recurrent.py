"""Recurrent layers, unrolled over their steps (X W^T + H R^T and what their biases add is written z(X, H) below):

    RNN     H' = f(z(X, H))
    GRU     Z = f(z_z), R = f(z_r), N = g(z_h(X, R H)), or g(X W^T + R (H R_h^T + b_r) + b_w) where the attribute
            linear_before_reset says so; H' = (1 - Z) N + Z H, which is N + Z (H - N)
    LSTM    I = f(z_i + p_i C), F = f(z_f + p_f C), C' = F C + I g(z_c), O = f(z_o + p_o C'), H' = O h(C')

A step's products are of numbers that depend on the input, so they are made of squares (`nonlinear/products.py`); an RNN
of ReLUs is exact. Every sequence must have all of its steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.node import Constant, Node, Value, moved
from ..nonlinear.products import product
from .linear import product as matrix_product

__all__ = ["gru", "lstm", "rnn"]

KINDS = {"relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh"}
DIRECTIONS = {"forward": (1,), "reverse": (-1,), "bidirectional": (1, -1)}  # the steps' order in each direction

Step = Callable[["_Cell", Expression, list[Expression]], list[Expression]]  # states, the one that is written first


@dataclass(frozen=True, eq=False)
class _Cell:
    """The weights of one direction. gates: how many parts of `size` rows they have."""

    node: Node
    direction: int
    gates: int
    size: int  # of the state
    activations: tuple[str, ...]  # names of layer kinds

    def reads(self, gate: int, x: Expression, i: int = 1) -> Expression:
        """What a gate adds up over the input (i = 1) or the state (2) [batch, entries], with its bias."""
        part = slice(gate * self.size, (gate + 1) * self.size)
        weights = self.node.weights(i)
        rows = Constant(weights.array[self.direction, part].T, weights.roundings, weights.name)
        out = matrix_product(self.node, x, rows)
        if not self.node.has(3):
            return out
        bias, start = self.node.weights(3), (gate if i == 1 else self.gates + gate) * self.size
        own = Constant(bias.array[self.direction, start : start + self.size], bias.roundings, bias.name)
        return self.node.builder.shift(out, *self.node.offset(own))

    def both(self, gate: int, x: Expression, state: Expression) -> Expression:
        """The sum over the input and the state."""
        return self.node.builder.add(self.reads(gate, x), self.reads(gate, state, 2))

    def act(self, which: int, z: Expression) -> Expression:
        """An activation of its own layer."""
        return self.node.builder.layer(z, self.activations[which])

    def peephole(self, place: int, z: Expression, cell: Expression) -> Expression:
        """z + p C for the place-th of an LSTM's three vectors p; z where there are none."""
        if not self.node.has(7):
            return z
        given = self.node.weights(7)
        vector = given.array[self.direction, place * self.size : (place + 1) * self.size]
        return self.node.builder.add(z, self.node.builder.scale(cell, vector, given.roundings))

    def times(self, a: Expression, b: Expression) -> Expression:
        """Entry by entry; b may be constant, as the state before the first step is."""
        if b.terms or b.bias_error:
            return product(self.node, a, b)
        return self.node.builder.scale(a, b.bias.reshape(b.shape)) if b.bias.any() else b


def rnn(node: Node) -> list[Value]:
    """RNN: all states, and the last one."""
    return _unrolled(node, 1, ("Tanh",), 1, lambda cell, x, s: [cell.act(0, cell.both(0, x, s[0]))])


def gru(node: Node) -> list[Value]:
    """GRU: all states, and the last one."""
    first = node.flag("linear_before_reset")

    def step(cell: _Cell, x: Expression, states: list[Expression]) -> list[Expression]:
        (state,), build = states, node.builder
        update, reset = (cell.act(0, cell.both(gate, x, state)) for gate in (0, 1))
        if first:
            read = cell.times(reset, cell.reads(2, state, 2))
        else:
            read = cell.reads(2, cell.times(reset, state), 2)
        new = cell.act(1, build.add(cell.reads(2, x), read))
        return [build.add(new, cell.times(update, build.subtract(state, new)))]

    return _unrolled(node, 3, ("Sigmoid", "Tanh"), 1, step)


def lstm(node: Node) -> list[Value]:
    """LSTM: all states, the last one, and the last cell."""
    if node.flag("input_forget"):
        raise UnsupportedOperatorError("input_forget; supported are gates of their own for input and forgetting")

    def step(cell: _Cell, x: Expression, states: list[Expression]) -> list[Expression]:
        (state, kept), build = states, node.builder
        let_in = cell.act(0, cell.peephole(0, cell.both(0, x, state), kept))
        forget = cell.act(0, cell.peephole(2, cell.both(2, x, state), kept))
        new = cell.act(1, cell.both(3, x, state))
        kept = build.add(cell.times(forget, kept), product(node, let_in, new))
        let_out = cell.act(0, cell.peephole(1, cell.both(1, x, state), kept))
        return [product(node, let_out, cell.act(2, kept)), kept]

    return _unrolled(node, 4, ("Sigmoid", "Tanh", "Tanh"), 2, step)


def _unrolled(node: Node, gates: int, usual: tuple[str, ...], count: int, step: Step) -> list[Value]:
    """Outputs of a layer: the states of all steps, then each of its `count` states after the last step."""
    if "clip" in node.attributes:
        raise UnsupportedOperatorError("clip; supported are sums as they are")
    batch_first = node.flag("layout")
    x = node.affine(moved(node, node.tensor(0), lambda a: np.swapaxes(a, 0, 1)) if batch_first else node.tensor(0))
    orders = _directions(node)
    size = _size(node, gates, len(orders), x)
    steps, batch = x.shape[:2]
    _whole(node, steps)
    names = _activations(node, usual, len(orders))
    written: list[list[Expression]] = [[] for _ in range(steps)]  # of each step, the states of all directions
    last: list[list[Expression]] = []  # of each direction
    for d, order in enumerate(orders):
        cell = _Cell(node, d, gates, size, names[d])
        states = [_start(node, 5 + i, d, (batch, size), batch_first) for i in range(count)]
        for t in range(steps)[::order]:
            states = step(cell, node.builder.move(x, itemgetter(t)), states)
            written[t].append(states[0])
        last.append(states)
    every = [state for states in written for state in states]
    shape = (steps, len(orders), batch, size)
    out = [_stacked(node, every, shape, (2, 0, 1, 3) if batch_first else None)]
    for i in range(count):
        parts = [states[i] for states in last]
        out.append(_stacked(node, parts, shape[1:], (1, 0, 2) if batch_first else None))
    return [*out]


def _stacked(
    node: Node, parts: list[Expression], shape: tuple[int, ...], axes: tuple[int, ...] | None
) -> Expression:  # fmt: skip
    whole = node.builder.stack(parts).reshaped(shape)
    return whole if axes is None else node.builder.move(whole, lambda a: np.transpose(a, axes))


def _directions(node: Node) -> tuple[int, ...]:
    told = node.text("direction", "forward")
    if told not in DIRECTIONS:
        raise NetworkError(f"the direction {told!r}, expected one of {', '.join(DIRECTIONS)}")
    return DIRECTIONS[told]


def _size(node: Node, gates: int, count: int, x: Expression) -> int:
    """Numbers of a state, count directions. Raises NetworkError where shapes do not fit each other."""
    w, r = node.weights(1).shape, node.weights(2).shape
    size = r[-1] if r else 0
    fits = len(x.shape) == 3 and w == (count, gates * size, x.shape[-1]) and r == (count, gates * size, size)
    fits = fits and (not node.has(3) or node.weights(3).shape == (count, 2 * gates * size))
    fits = fits and (not node.has(7) or node.weights(7).shape == (count, 3 * size))
    if not fits or size < 1 or int(node.attributes.get("hidden_size", size)) != size or not x.size:
        raise NetworkError(
            f"an input of shape {x.shape} and weights of shapes {w} and {r} for {count} directions, {gates} gates and "
            f"hidden_size {node.attributes.get('hidden_size', size)}; they do not fit each other"
        )
    return size


def _whole(node: Node, steps: int) -> None:
    """Raises UnsupportedOperatorError where a sequence ends before the last step."""
    if node.has(4) and (node.constant(4).array != steps).any():
        raise UnsupportedOperatorError(f"sequence_lens; supported are sequences of all {steps} steps")


def _activations(node: Node, usual: tuple[str, ...], directions: int) -> list[tuple[str, ...]]:
    """Of each direction, the layer kinds of its activations."""
    given = node.attributes.get("activations", usual * directions)
    names = [(name.decode() if isinstance(name, bytes) else str(name)).lower() for name in given]
    if len(names) != len(usual) * directions:
        raise NetworkError(f"{len(names)} activations for {directions} directions, expected {len(usual)} for each")
    for name in names:
        if name not in KINDS:
            raise UnsupportedOperatorError(f"the activation {name}; supported are {', '.join(KINDS)}")
    return [tuple(KINDS[n] for n in names[d * len(usual) : (d + 1) * len(usual)]) for d in range(directions)]


def _start(node: Node, i: int, direction: int, shape: tuple[int, int], batch_first: bool) -> Expression:
    """A state [batch, size] before the first step, 0 where none is given."""
    if not node.has(i):
        return node.affine(Constant(np.zeros(shape)))
    given = node.tensor(i)
    out = node.affine(moved(node, given, lambda a: a[:, direction] if batch_first else a[direction]))
    if out.shape != shape:
        raise NetworkError(f"its input {i} of shape {given.shape}, expected states of shape {shape} a direction")
    return out
