"""Seeded random instances against the oracle: no verdict is ever wrong, and nearly all are decided.

Each instance has an exact worst margin: clear, off by 2^-20, or zero (`random_instances`). A network built in
memory is replayed in exact arithmetic, so `sat` may be claimed of boundary points too, and a wrong one shows.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from random_instances import Instance, Shape, is_counterexample, random_instance

from hypersplit.bab.run.result import Result
from hypersplit.bab.verify import verify

CHUNK = 50
TIMEOUT = 60.0  # far beyond what any instance needs, so that loaded machines change nothing
NODES = {"touching": 200}  # at a boundary point that is no float the search cannot end; elsewhere it must
MOST_NODES = 4000


def run(instance: Instance, **options: Any) -> Result:
    """The verdict on an instance, checked against the truth; `unknown` passes here."""
    nodes = NODES.get(instance.kind, MOST_NODES)
    options = {"jobs": 1, "batch": 64, "nodes": nodes, "seed": instance.seed, **options}
    result = verify(instance.network, instance.prop, timeout=TIMEOUT, **options)
    label = f"{instance}, {options}: said {result.verdict} ({result.reason}), bound {result.bound}"
    assert result.verdict in (instance.truth, "unknown"), label
    assert (result.witness is not None) == (result.verdict == "sat"), label
    if result.witness is not None:
        x = [Fraction(float(a)) for a in result.witness.input]
        assert any(is_counterexample(instance, case, x) for case in instance.prop.cases), label
    if (real := result.real_counterexample) is not None:
        assert result.verdict == "unknown", label
        assert any(is_counterexample(instance, case, [*real]) for case in instance.prop.cases), label
    if result.verdict != "unsat" and len(instance.prop.cases) == 1:
        assert result.bound <= instance.worst, label
    return result


def undecided(seeds: range, may_stay_open: tuple[str, ...] = ("touching",), **options: Any) -> list[str]:
    """Instances that should have been decided but were not."""
    failed = []
    for seed in seeds:
        instance = random_instance(seed)
        result = run(instance, **options)
        if result.verdict == "unknown" and instance.kind not in may_stay_open:
            failed.append(f"{instance}: {result.reason}, {result.statistics}")
    return failed


@pytest.mark.parametrize("start", range(0, 1000, CHUNK))
def test_auto_is_right_and_decides(start: int) -> None:
    """The default method decides everything but what touches the boundary, and is never wrong."""
    assert not undecided(range(start, start + CHUNK), method="auto")


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("rule", ["inputs", "phases"])
def test_split_is_right_for_every_rule_and_batch_size(rule: str, batch: int) -> None:
    """Branch and bound alone, one node at a time or many, decides all instances under each complete rule."""
    start = 5000 + {"inputs": 0, "phases": 200}[rule] + batch
    assert not undecided(range(start, start + CHUNK), method="split", rule=rule, batch=batch)


@pytest.mark.parametrize("rule", ["axes", "longest-edge", "rows"])
def test_incomplete_rules_are_right(rule: str) -> None:
    """Boxes or rows alone close clear instances; near the boundary they may take too many nodes."""
    assert not undecided(
        range(6000, 6000 + CHUNK),
        ("touching", "near-sat", "near-unsat"),
        method="split",
        rule=rule,
        nodes=1000,
    )


@pytest.mark.parametrize("start", range(7000, 7100, CHUNK))
def test_milp_is_right(start: int) -> None:
    """One MILP per disjunct; what lies within SCIP's tolerances of the boundary may stay open."""
    assert not undecided(range(start, start + CHUNK), ("touching", "near-sat", "near-unsat"), method="milp")


def test_without_clipping_and_with_workers() -> None:
    """Boxes that are not shrunk, and batches bounded on two cores, lead to the same verdicts."""
    assert not undecided(range(8000, 8000 + CHUNK), method="split", clip=False)
    assert not undecided(range(8000, 8000 + CHUNK), method="auto", jobs=2)


def test_flat_regions_are_never_misjudged() -> None:
    """Half-spaces that leave a face, an edge or a point: right or unknown (its points need not be floats)."""
    for seed in range(8500, 8500 + CHUNK):
        run(random_instance(seed, shape=Shape(flat=1.0, halfspaces=1.0)), nodes=200)


@pytest.mark.parametrize("kind", ["clear-sat", "clear-unsat"])
def test_extreme_weights_are_never_misjudged(kind: str) -> None:
    """Neurons scaled by 1e-6 and 1e6 side by side, with weights of 53 bits."""
    decided = 0
    for seed in range(9000, 9000 + CHUNK):
        instance = random_instance(seed, kind, Shape(scale=1e6, rough=True))
        decided += run(instance, nodes=200).verdict != "unknown"
    assert decided >= 0.7 * CHUNK, decided


def test_the_bound_of_a_property_that_holds_is_none_below_0() -> None:
    """`Result.bound` never exceeds the exact worst margin; of an `unsat` it says at least that this is not negative."""
    for seed in range(40):
        instance = random_instance(seed, "clear-unsat")
        result = run(instance)
        assert result.verdict == "unsat", f"{instance}: {result.verdict}"
        if len(instance.prop.cases) == 1:
            assert 0.0 <= result.bound <= instance.worst, f"{instance}: {result.bound}"


def test_a_seed_gives_one_answer() -> None:
    """Equal seeds give equal verdicts, witnesses and node counts."""
    for seed in range(20):
        first, second = (run(random_instance(seed)) for _ in range(2))
        assert first.verdict == second.verdict
        assert first.statistics.get("nodes") == second.statistics.get("nodes")
        if first.witness is not None and second.witness is not None:
            assert first.witness.input.tolist() == second.witness.input.tolist()


@pytest.mark.parametrize("method", ["auto", "split"])
def test_touching_instances_are_found(method: str) -> None:
    """Where the forbidden set is reached by equality only, exact arithmetic finds the point: `sat` if it is a float."""
    touching = [random_instance(seed, "touching") for seed in range(9500, 9560)]
    touching = [i for i in touching if i.kind == "touching"]
    results = [run(i, method=method) for i in touching]
    found = sum(r.verdict == "sat" for r in results)
    assert len(touching) >= 30 and found >= 0.95 * len(touching), (found, len(touching))
    for instance, result in zip(touching, results, strict=True):
        real = result.real_counterexample
        assert result.verdict == "sat" or real is not None, f"{instance}: {result.reason}"
        assert real is None or any(Fraction(float(x)) != x for x in real), f"{instance}: {real}"


@pytest.mark.parametrize("shape", [Shape(flat=1.0, halfspaces=1.0), Shape(scale=1e3)])
def test_touching_instances_of_other_shapes_do_not_end_in_rounding(shape: Shape) -> None:
    """Flat regions and weights of different sizes: no touching instance stays open for `numerics`."""
    for seed in range(9700, 9740):
        assert "numerics" not in run(random_instance(seed, "touching", shape), method="split").reason, seed
