"""Projected gradient with momentum, step control and diversified starts (a search for counterexamples, no proof).

From each start, signed steps along the exact network gradient g inside the box (Madry et al. 2018),
    u = clip(x - s w sign(g)),   x' = clip(x + a (u - x) + (1 - a) (x - x_before)),
with w the box's widths, momentum a and Auto-PGD's step control (Croce and Hein 2020): at checkpoints a start whose loss
fell in too few of its steps, or that found no better point since the checkpoint before, halves s and goes back to its
best point.

A start descends on its polyhedron's worst margin, smoothed so that rows close to the worst one pull as well,
    loss = t log sum_r exp(m_r(x) / t),   t = SOFTNESS * (largest |m_r| at the start);
every third start on sum_r max(m_r(x), floor) instead: signed steps along one row at a time may go to and fro on a line.

Diversity: half of the starts follow the polyhedron that is nearest at the time, the others stay with one of those
nearest to their start. Half of both make their first steps along a random direction of the margins (output-diversified
starts, Tashiro et al. 2020): in a box of many inputs the outputs of all random points are nearly the same.

Where the input set has half-spaces, every step ends with a few projections into them (`halfspace_projection`).

Where whole layers are off the gradient is exactly 0; such starts move along that of a network with leaky ReLUs.

With a norm ball (l1, l2) the steps s w sign(g) become steps of length s times the ball's diameter, or the box's where
that is less, in the steepest direction of the norm, and each point is led back into ball and box (`ball_points`).
"""

from __future__ import annotations

import time

import numpy as np

from ...instances.network import Array
from ...instances.norm_ball import NormBall
from ...instances.query import Query
from ...instances.rounding import TINY_32
from .attack_passes import Passes, passes_of
from .ball_points import into_ball
from .halfspace_projection import IN_DESCENT, halfspaces_of
from .lengths import lengths, steepest

__all__ = ["projected_gradient"]

STEP_SHARE = 0.25  # first step, as a share of each input's interval
MOMENTUM = 0.75  # share of the new direction in a step
SUCCESS = 0.75  # share of the steps between checkpoints that must lower the loss for the step size to stay
FIRST_CHECK, SHORTER, LEAST_CHECK = 0.22, 0.03, 0.06  # time between checkpoints, as shares of all steps
DIVERSE_SHARE, DIVERSE_MOST = 0.15, 5  # steps along the random direction: share of all, and at most
SOFTNESS = 0.03  # of the worst margin's smoothing: at 0.1 and more, conjunctions of many rows get stuck earlier
HARDEN = 0.15  # a start keeps descending until its worst margin is below -HARDEN * spread: room for float32
ROOM = 1e-3  # share of the spread that no float32 run of the network will undo
LEAK = 0.1  # slope of inactive ReLUs where the exact gradient is zero
LINGER = 3  # steps that a chunk goes on for after one of its starts came that far


@np.errstate(over="ignore", invalid="ignore")  # such points are never the best ones
def projected_gradient(
    query: Query,
    starts: Array,
    lower: Array,
    upper: Array,
    steps: int,
    targets: Array | None = None,
    rng: np.random.Generator | None = None,
    deadline: float = np.inf,
    ball: NormBall | None = None,
) -> tuple[Array, Array]:
    """Descend from every start and return the best point met on each path.

    starts: [P, inputs], the most promising ones first; lower, upper: [inputs] or [P, inputs], the box to stay in;
    targets: [P] index of the polyhedron that each start aims at, by default diversified as the module says, with
    random directions from `rng`; deadline: time.monotonic() after which no step begins; ball: to stay in as well, as
    far as it meets the box. Returns (points [P, inputs], their worst margins [P], rounded as the passes are). Large
    networks take the starts in chunks; after a chunk with a counterexample, or at the deadline, the others stay where
    they are, with margin inf.
    """
    passes = passes_of(query.network, lower, upper)
    rng = np.random.default_rng(0) if rng is None else rng
    points, worst = into_ball(np.clip(starts, lower, upper), lower, upper, ball), np.full(len(starts), np.inf)
    for first in range(0, len(starts) if steps > 0 else 0, passes.chunk):
        part = slice(first, first + passes.chunk)
        low, high = (b if b.ndim == 1 else b[part] for b in (lower, upper))
        aims = None if targets is None else targets[part]
        descent = _Descent(query, passes, points[part], low, high, aims, rng, ball)
        descent.run(steps, deadline)
        best = np.clip(descent.best.T.astype(np.float64), low, high)
        points[part], worst[part] = into_ball(best, low, high, ball), descent.best_worst
        if descent.lingered or time.monotonic() > deadline:
            break
    return points, worst


class _Loss:
    """What each start descends on; the diversity of starts without targets."""

    def __init__(self, query: Query, targets: Array | None, count: int) -> None:
        self.query = query
        self.targets: Array | None = targets
        number, free = np.arange(count), targets is None
        self.follows = free & (number % 2 == 0)
        self.diverse = free & (number % 4 >= 2)
        self.sums = number % 3 == 2
        self.of_row = np.repeat(np.arange(query.disjuncts), np.diff(query.starts))
        self.spread = np.zeros((count, 1))

    def prepare(self, margins: Array) -> None:
        """Units, and polyhedra of the starts that got none, from the margins [P, rows] at the starts."""
        self.spread = np.maximum(np.abs(margins).max(axis=1, keepdims=True), TINY_32)
        if self.targets is None:
            near = np.argsort(self.query.per_disjunct(margins), axis=1)
            number = np.arange(len(margins))
            self.targets = near[number, (number // 2) % self.query.disjuncts]

    def __call__(self, margins: Array) -> tuple[Array, Array, Array]:
        """(loss [P], cotangent [P, rows], worst margin [P]) at margins [P, rows]."""
        each = self.query.per_disjunct(margins)
        aims = np.where(self.follows, each.argmin(axis=1), self.targets)
        mine = np.where(self.of_row == np.asarray(aims)[:, None], margins, -np.inf)
        top, t = mine.max(axis=1, keepdims=True), SOFTNESS * self.spread
        share = np.exp((mine - top) / t)
        total = share.sum(axis=1, keepdims=True)
        floor = -HARDEN * self.spread
        descends = top > floor
        loss, cotangent = (top + t * np.log(total))[:, 0], share / total * descends
        if len(self.of_row) > self.query.disjuncts:
            above = mine > floor
            loss = np.where(self.sums, np.maximum(mine, floor).sum(axis=1), loss)
            cotangent = np.where(self.sums[:, None], above, cotangent)
        return loss, cotangent, each.min(axis=1)

    def room(self, worst: Array) -> bool:
        """Whether one of the starts has come to a counterexample that rounding does not undo."""
        return bool((worst < -ROOM * self.spread[:, 0]).any())


class _StepControl:
    """Auto-PGD's step sizes, one a start."""

    def __init__(self, count: int, steps: int) -> None:
        self.size = np.full(count, STEP_SHARE)
        self.checks = _checkpoints(steps)
        self.fell, self.taken = np.zeros(count), 0
        self.loss, self.best_then = np.full(count, np.inf), np.full(count, np.inf)
        self.same = np.zeros(count, dtype=bool)  # whether the size stayed at the last checkpoint

    def stalled(self, number: int, loss: Array, best: Array) -> Array:
        """Which starts halve their step here and go back to their best points. loss, best: [P], now and ever."""
        self.fell += loss < self.loss
        self.loss, self.taken = loss, self.taken + 1
        if number not in self.checks:
            return np.zeros(len(loss), dtype=bool)
        stalled = (self.fell < SUCCESS * self.taken) | (self.same & ~(best < self.best_then))
        self.size[stalled] *= 0.5
        self.same, self.best_then = ~stalled, best.copy()
        self.fell[:], self.taken = 0.0, 0
        self.loss = np.where(stalled, best, loss)
        return stalled


class _Descent:
    """One chunk of starts; points are columns."""

    def __init__(
        self, query: Query, passes: Passes, starts: Array, lower: Array, upper: Array, targets: Array | None,
        rng: np.random.Generator, ball: NormBall | None,
    ) -> None:  # fmt: skip
        self.query, self.passes, self.rng, self.ball = query, passes, rng, ball
        self.lower, self.upper = (np.atleast_2d(b).T.astype(passes.dtype) for b in (lower, upper))
        self.width = self.upper - self.lower
        self.reach = None if ball is None else np.minimum(2.0 * ball.radius, lengths(self.width.T, ball.norm))
        self.spaces = halfspaces_of(query, passes.dtype)
        self.x = np.ascontiguousarray(starts.T, dtype=passes.dtype)
        self.before = self.x.copy()
        self.loss = _Loss(query, targets, len(starts))
        self.best, self.best_worst = self.x.copy(), np.full(len(starts), np.inf)
        self.low, self.low_loss = self.x.copy(), np.full(len(starts), np.inf)  # where the loss was lowest
        self.low_gradient = np.zeros_like(self.x)
        self.lingered = False

    def run(self, steps: int, deadline: float) -> None:
        """All steps, or fewer where a counterexample comes up or the time is over."""
        count = self.x.shape[1]
        diverse = min(DIVERSE_MOST, int(np.ceil(DIVERSE_SHARE * steps))) if self.loss.diverse.any() else 0
        direction = self.rng.choice([-1.0, 1.0], size=(count, self.query.rows))
        control, since = _StepControl(count, steps), 0
        for number in range(steps):
            values = self.passes.forward(self.x)
            margins = values[-1].T.astype(np.float64)
            if number == 0:
                self.loss.prepare(margins)
            loss, cotangent, worst = self.loss(margins)
            self._keep(worst)
            since += self.loss.room(self.best_worst)
            self.lingered = since > LINGER
            if self.lingered or number == steps - 1 or time.monotonic() > deadline:
                return
            astray = self.loss.diverse & (number < diverse)
            cotangent[astray] = direction[astray]
            gradient = self._gradient(values, cotangent.T)
            self._anchor(np.where(astray, np.inf, loss), gradient)
            back = control.stalled(number, loss, self.low_loss) & ~astray
            if back.any():
                for a, b in ((self.x, self.low), (self.before, self.low), (gradient, self.low_gradient)):
                    np.copyto(a, b, where=back)
            self._move(gradient, control.size)

    def _gradient(self, values: list[Array], cotangent: Array) -> Array:
        """The exact gradient; where it is 0 because whole layers are off, that of a network with leaky ReLUs."""
        gradient = self.passes.backward(values, cotangent)
        dead = np.flatnonzero(cotangent.any(axis=0) & ~gradient.any(axis=0))
        if len(dead):
            some = [np.ascontiguousarray(v[:, dead]) for v in values]
            gradient[:, dead] = self.passes.backward(some, cotangent[:, dead], LEAK)
        return gradient

    def _keep(self, worst: Array) -> None:
        better = worst < self.best_worst
        np.copyto(self.best, self.x, where=better)
        self.best_worst[better] = worst[better]

    def _anchor(self, loss: Array, gradient: Array) -> None:
        lower = loss < self.low_loss
        np.copyto(self.low, self.x, where=lower)
        np.copyto(self.low_gradient, gradient, where=lower)
        self.low_loss[lower] = loss[lower]

    def _move(self, gradient: Array, size: Array) -> None:
        step = self._step(gradient, size)
        step += self.x
        step = self._inside(step)
        step -= self.x
        step *= MOMENTUM
        self.before *= -1.0
        self.before += self.x
        self.before *= 1.0 - MOMENTUM
        step += self.before
        self.before = self.x
        step += self.x
        self.x = self._inside(step)

    def _step(self, gradient: Array, size: Array) -> Array:
        """From each point, before it is cut off."""
        if self.ball is None:
            step = np.sign(gradient)
            step *= self.width
            step *= (-size).astype(step.dtype)
            return step
        room = np.where(gradient > 0.0, self.x > self.lower, self.x < self.upper)
        step = steepest(gradient.T, self.ball.norm, room.T).T * (size * self.reach)
        return np.ascontiguousarray(step, dtype=self.x.dtype)

    def _inside(self, x: Array) -> Array:
        """The points [inputs, P] led back into the box, the half-spaces and the ball; x itself is overwritten."""
        np.clip(x, self.lower, self.upper, out=x)
        if self.spaces:
            x = self.spaces.pulled(x, self.lower, self.upper, IN_DESCENT)
        if self.ball is not None:
            x[:] = into_ball(x.T, self.lower.T, self.upper.T, self.ball).T
        return x


def _checkpoints(steps: int) -> frozenset[int]:
    """Numbers of the steps at which sizes are looked at: p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06)."""
    share, gap, found = 0.0, FIRST_CHECK + SHORTER, set()
    while share < 1.0:
        gap = max(gap - SHORTER, LEAST_CHECK)
        share += gap
        found.add(int(np.ceil(share * steps)))
    return frozenset(found)
