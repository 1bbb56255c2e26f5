"""Thousands of seeded random instances against the oracle: no verdict is ever wrong, and nearly all are decided.

Each instance has an exact worst margin: clear, off by 2^-20, or zero (`random_instances`). A network built in memory is
replayed in exact arithmetic, so that `sat` may be claimed of boundary points too, and a wrong one would show.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import oracle
import pytest
from random_instances import Instance, Shape, random_instance

from hypersplit.bab.result import Result
from hypersplit.bab.verify import verify

CHUNK = 50
TIMEOUT = 30.0  # far beyond what any instance needs: only a stalled search meets it


def run(instance: Instance, **options: Any) -> Result:
    """The verdict on an instance, checked against the truth; `unknown` passes here."""
    result = verify(instance.network, instance.prop, timeout=TIMEOUT, seed=instance.seed, **options)
    label = f"{instance}, {options}: said {result.verdict} ({result.reason})"
    assert result.verdict in (instance.truth, "unknown"), label
    assert (result.witness is not None) == (result.verdict == "sat"), label
    if result.witness is not None:
        assert any(is_counterexample(instance, case, result.witness.input) for case in instance.prop.cases), (
            label
        )
    if result.verdict != "unsat" and len(instance.prop.cases) == 1:
        assert result.bound <= instance.worst, f"{label}, bound {result.bound}"
    return result


def is_counterexample(instance: Instance, case: Any, x: Any) -> bool:
    """Whether x is one, in rational arithmetic."""
    point = [Fraction(float(a)) for a in x]
    region = case.region
    inside = all(
        low <= a <= high for low, a, high in zip(region.lower, point, region.upper, strict=True)
    ) and all(
        oracle.exact_dot(g, point) + Fraction(float(h)) >= 0
        for g, h in zip(region.rows, region.offsets, strict=True)
    )
    y = oracle.exact_values(instance.network, point)[-1] + (point if instance.prop.joint else [])
    return inside and any(
        all(oracle.exact_dot(c, y) <= Fraction(float(d)) for c, d in zip(p.rows, p.rhs, strict=True))
        for p in case.forbidden
    )


def undecided(seeds: range, may_stay_open: tuple[str, ...], **options: Any) -> list[str]:
    """Instances that should have been decided but were not."""
    failed = []
    for seed in seeds:
        instance = random_instance(seed)
        result = run(instance, **options)
        if result.verdict == "unknown" and instance.kind not in may_stay_open:
            failed.append(f"{instance}: {result.reason}")
    return failed


@pytest.mark.parametrize("start", range(0, 1500, CHUNK))
def test_auto_is_right_and_decides(start: int) -> None:
    """The default method decides everything but what touches the boundary, and is never wrong."""
    assert not undecided(range(start, start + CHUNK), ("touching",), method="auto", jobs=1)


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("start", range(5000, 5400, 2 * CHUNK))
def test_split_is_right_for_every_batch_size(start: int, batch: int) -> None:
    """Branch and bound alone, one node at a time or many, decides the same instances."""
    assert not undecided(range(start, start + 2 * CHUNK), ("touching",), method="split", batch=batch, jobs=1)


@pytest.mark.parametrize("rule", ["inputs", "axes", "longest-edge", "rows", "phases"])
def test_split_is_right_under_every_rule(rule: str) -> None:
    """Each split rule leads to the same verdicts. Axes alone may run out of floats near the boundary."""
    open_kinds = ("touching", "near-sat", "near-unsat") if rule in ("axes", "longest-edge") else ("touching",)
    assert not undecided(
        range(6000, 6000 + CHUNK), open_kinds, method="split", rule=rule, jobs=1, nodes=20_000
    )


@pytest.mark.parametrize("start", range(7000, 7200, CHUNK))
def test_milp_is_right(start: int) -> None:
    """One MILP per disjunct; what lies within SCIP's tolerances of the boundary may stay open, and is never guessed."""
    assert not undecided(
        range(start, start + CHUNK), ("touching", "near-sat", "near-unsat"), method="milp", jobs=1
    )


def test_without_clipping_and_with_workers() -> None:
    """Boxes that are not shrunk, and batches bounded on two cores, lead to the same verdicts."""
    assert not undecided(range(8000, 8000 + CHUNK), ("touching",), method="split", clip=False, jobs=1)
    assert not undecided(range(8000, 8000 + CHUNK), ("touching",), method="auto", jobs=2)


@pytest.mark.parametrize("kind", ["clear-sat", "clear-unsat"])
def test_extreme_weights_are_never_misjudged(kind: str) -> None:
    """Neurons scaled by 1e-6 and 1e6 side by side, with weights of 53 bits."""
    decided = 0
    for seed in range(9000, 9000 + CHUNK):
        instance = random_instance(seed, kind, Shape(scale=1e6, rough=True))
        decided += run(instance, method="auto", jobs=1, nodes=5_000).verdict != "unknown"
    assert decided >= 0.7 * CHUNK


def test_the_bound_of_a_property_that_holds_is_positive() -> None:
    """`Result.bound` is a proved bound of what is left open: above 0 once nothing is."""
    for seed in range(40):
        instance = random_instance(seed, "clear-unsat")
        result = run(instance, jobs=1)
        assert result.verdict == "unsat" and result.bound > 0.0, f"{instance}: {result.verdict}, {result.bound}"


def test_a_seed_gives_one_answer() -> None:
    """Equal seeds give equal verdicts, witnesses and node counts."""
    for seed in range(40):
        first, second = (run(random_instance(seed), jobs=1) for _ in range(2))
        assert first.verdict == second.verdict
        assert first.statistics.get("nodes") == second.statistics.get("nodes")
        if first.witness is not None and second.witness is not None:
            assert first.witness.input.tolist() == second.witness.input.tolist()


def test_touching_instances_are_mostly_found() -> None:
    """Where the forbidden set is reached by equality alone the witness is a corner or a kink; most of them are hit."""
    touching = [random_instance(seed, "touching") for seed in range(9500, 9600)]
    touching = [i for i in touching if i.kind == "touching"]
    found = sum(run(i, jobs=1, nodes=5_000).verdict == "sat" for i in touching)
    assert len(touching) >= 50 and found >= 0.6 * len(touching), (found, len(touching))
