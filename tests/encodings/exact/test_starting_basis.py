"""A place to begin is advice: it changes no answer of the exact simplex, and saves it work."""

from __future__ import annotations

import copy
import math
import time

import numpy as np
import pytest

from hypersplit.encodings.exact import starting_basis
from hypersplit.encodings.exact.rational_lp import ExactLP, Row, proves_empty
from hypersplit.encodings.exact.starting_basis import begin


def system(seed: int, size: int = 6, rows: int = 10, power: int = 0) -> ExactLP:
    """Integer rows over the box [-1, 1]^n, some of them tight together; powers of ten apart in size."""
    rng = np.random.default_rng(seed)
    lp = ExactLP([-1] * size, [1] * size, 1)
    for _ in range(rows):
        factor = 10 ** int(rng.integers(0, power + 1))
        normal = tuple(int(g) * factor for g in rng.integers(-9, 10, size))
        lp.add(Row(normal, int(rng.integers(-12, 8)) * factor, bool(rng.random() < 0.2)))
    return lp


@pytest.mark.parametrize("power", [0, 30])
def test_the_answer_is_that_without_a_start(power: int) -> None:
    """Satisfiable or not, rows of one size or of thirty decimals apart; refutations are proved by their multipliers."""
    answers = set()
    for seed in range(30):
        plain, helped = system(seed, power=power), system(seed, power=power)
        begin(helped, math.inf)
        truth, found = plain.solve(math.inf), helped.solve(math.inf)
        assert found == truth, f"seed {seed}"
        answers.add(truth)
        if helped.multipliers:
            proof = helped.rows, helped.multipliers, helped.lower, helped.upper, helped.unit
            assert proves_empty(*proof), f"seed {seed}"
    assert len(answers) == 2


def test_it_saves_pivots() -> None:
    """Over many systems that have a solution with room, the confirmed point needs fewer of them in all."""
    plain, helped = [system(s, 8, 14) for s in range(20)], [system(s, 8, 14) for s in range(20)]
    for lp in helped:
        begin(lp, math.inf)
    started = sum(lp.pivots for lp in helped)
    for lp in (*plain, *helped):
        lp.solve(math.inf)
    assert sum(lp.pivots for lp in helped) - started < sum(lp.pivots for lp in plain)


def test_nothing_is_moved_where_it_cannot_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rows, after the deadline, or where SoPlex fails, the system stays as it was."""

    def state(lp: ExactLP) -> dict[str, object]:
        return copy.deepcopy(vars(lp))

    for lp, deadline in ((ExactLP([0], [1], 1), math.inf), (system(1), time.monotonic() - 1.0)):
        before = state(lp)
        begin(lp, deadline)
        assert state(lp) == before
    monkeypatch.setattr(starting_basis.Simplex, "solve", lambda *_: "failed")
    lp = system(1)
    before = state(lp)
    begin(lp, math.inf)
    assert state(lp) == before
