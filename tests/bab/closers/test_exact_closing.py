"""The exact last resort against the oracle, and what the search makes of its answers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import oracle
import pytest
from random_instances import Instance, Shape, is_counterexample, random_instance, random_nodes
from small_files import property_of, write_network

from hypersplit.bab.closers.exact_closing import ExactOutcome, decide_exactly
from hypersplit.bab.command.report import json_text, summary
from hypersplit.bab.run.result import Result
from hypersplit.bab.verify import verify
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.heuristics.efforts import ExactEffort
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

FOREVER = math.inf
SHAPES = {
    "plain": Shape(), "flat": Shape(flat=1.0, halfspaces=1.0), "scaled": Shape(scale=1e3),
    "extreme": Shape(scale=1e6, rough=True),
}  # fmt: skip


def abs_sum(threshold: float, inputs: int = 1, third: bool = False, strict: bool = False) -> Query:
    """y = |x| (of the first input, |3 x - 1| with `third`) on [0, 1]^n, forbidden up to `threshold` (below it)."""
    first = np.zeros((2, inputs))
    first[:, 0] = [3.0, -3.0] if third else [1.0, -1.0]
    bias = np.array([-1.0, 1.0]) if third else np.zeros(2)
    network = sequential([first, np.ones((1, 2))], [bias, np.zeros(1)])
    box = InputSet.box(np.zeros(inputs), np.ones(inputs))
    case = Case(box, (Polyhedron(np.ones((1, 1)), np.array([threshold]), np.array([strict])),))
    return queries(network, Property((case,), inputs, 1))[0]


@pytest.mark.parametrize("kind", ["near-sat", "near-unsat", "touching"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_question_is_decided_as_the_oracle_does(shape: str, kind: str) -> None:
    """Each disjunct at the root, with bounds and without: closed exactly where there is no counterexample."""
    for seed in range(3000, 3025):
        instance = random_instance(seed, kind, SHAPES[shape])
        for query in queries(instance.network, instance.prop):
            batch = root(query)
            if seed % 2:
                bounds = bound(query, batch)
                batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
            for k in range(query.disjuncts):
                agrees(instance, query, batch.node(0), k)


def agrees(instance: Instance, query: Query, node: Node, k: int) -> None:
    """One question about a root."""
    alone = Case(query.region, (query.case.forbidden[k],))
    truth, _ = oracle.decide(instance.network, alone, instance.prop.joint)
    outcome = decide_exactly(query, node, k, FOREVER)
    assert outcome.status == {"sat": "point", "unsat": "closed"}[truth], (instance, k, outcome)
    if outcome.point is not None:
        assert is_counterexample(instance, alone, list(outcome.point)), (instance, k)


def test_nodes_with_cuts_and_phases() -> None:
    """On a node's region the answer is that of the network there; counterexamples are the network's own."""
    rng = np.random.default_rng(5)
    seen = set()
    for seed in range(4000, 4030):
        instance = random_instance(seed)
        query = queries(instance.network, instance.prop)[0]
        batch = random_nodes(rng, query, 3)
        for b in range(len(batch)):
            node = batch.node(b)
            rows = np.concatenate([query.region.rows, node.cuts[:, :-1]])
            offsets = np.concatenate([query.region.offsets, node.cuts[:, -1]])
            region = InputSet(node.lower, node.upper, rows, offsets)
            for k in range(query.disjuncts):
                alone = Case(region, (query.case.forbidden[k],))
                truth, _ = oracle.decide(instance.network, alone, instance.prop.joint, node.phases)
                outcome = decide_exactly(query, node, k, FOREVER)
                seen.add(outcome.status)
                assert outcome.status == {"sat": "point", "unsat": "closed"}[truth], (instance, k, outcome)
                if outcome.point is not None:
                    assert is_counterexample(instance, alone, list(outcome.point)), (instance, k)
    assert seen == {"point", "closed"}


def test_strict_rows_are_strict() -> None:
    """|x| <= 0 is reached at 0, |x| < 0 nowhere; |3 x - 1| <= 0 at a third, which no float is."""
    assert at_root(abs_sum(0.0)).point == (Fraction(0),)
    assert at_root(abs_sum(0.0, strict=True)).status == "closed"
    assert at_root(abs_sum(0.0, third=True)).point == (Fraction(1, 3),)
    assert at_root(abs_sum(0.0, third=True, strict=True)).status == "closed"
    assert at_root(abs_sum(2.0**-60, third=True, strict=True)).status == "point"


@pytest.mark.parametrize(("name", "index"), [("strict_lower", 0), ("strict_upper", 1), ("strict", 0)])
def test_strict_ends_and_half_spaces_are_strict(name: str, index: int) -> None:
    """|x_0| <= 0 where x_0 = x_1 = 0: at a corner of the box and on a half-space, unless one of them is strict."""
    query = abs_sum(0.0, inputs=2)
    rows = np.array([[1.0, 1.0]])
    region = InputSet(np.array([0.0, -1.0]), np.array([1.0, 0.0]), rows, np.zeros(1))
    mask = np.zeros(1 if name == "strict" else 2, dtype=bool)
    mask[index] = True
    assert at_root(replace(query, region=region)).point == (Fraction(0), Fraction(0))
    assert at_root(replace(query, region=replace(region, **{name: mask}))).status == "closed"
    fixed = replace(region, lower=np.zeros(2), upper=np.zeros(2))
    assert at_root(replace(query, region=fixed)).point == (Fraction(0), Fraction(0))
    assert at_root(replace(query, region=replace(fixed, **{name: mask}))).status == "closed"


def test_an_open_corner_is_approached() -> None:
    """|x_0| < 2^-60 where x_0 > 0 is strict: a point beside the end, which satisfies both."""
    query = abs_sum(2.0**-60, strict=True)
    query = replace(query, region=replace(query.region, strict_lower=np.array([True])))
    (x,) = at_root(query).point or (Fraction(0),)
    assert 0 < x < Fraction(1, 2**60)


@pytest.mark.parametrize("kind", ["near-sat", "touching"])
def test_strict_questions_are_decided_as_the_oracle_does(kind: str) -> None:
    """Rows, ends and half-spaces of random instances made strict."""
    seen = set()
    for seed in range(5000, 5030):
        instance, rng = random_instance(seed, kind), np.random.default_rng(seed)
        case = instance.prop.cases[0]
        size, count = case.region.size, len(case.region.rows)
        region = replace(
            case.region, strict_lower=rng.random(size) < 0.3, strict_upper=rng.random(size) < 0.3,
            strict=rng.random(count) < 0.3,
        )  # fmt: skip
        forbidden = tuple(replace(p, strict=rng.random(len(p.rhs)) < 0.7) for p in case.forbidden)
        prop = replace(instance.prop, cases=(Case(region, forbidden),))
        query = queries(instance.network, prop)[0]
        for k, polyhedron in enumerate(forbidden):
            truth, _ = oracle.decide(instance.network, Case(region, (polyhedron,)), prop.joint)
            outcome = decide_exactly(query, root(query).node(0), k, FOREVER)
            assert outcome.status == {"sat": "point", "unsat": "closed"}[truth], (instance, k, outcome)
            seen.add(truth)
    assert seen == {"sat", "unsat"}


def at_root(query: Query) -> ExactOutcome:
    """What is said about the only disjunct on the whole input set."""
    return decide_exactly(query, root(query).node(0), 0, FOREVER)


def test_what_is_too_large_or_not_exact_says_so() -> None:
    """Too many inputs, weights folded with rounding, no time: open, with the reason."""
    query = abs_sum(0.0, ExactEffort().inputs + 1)
    outcome = decide_exactly(query, root(query).node(0), 0, FOREVER)
    assert outcome.status == "open" and f"{ExactEffort().inputs + 1} open inputs" in outcome.reason

    query = abs_sum(0.0)
    first, *others = query.network.layers
    folded = replace(query, network=replace(query.network, layers=(replace(first, roundings=1), *others)))
    outcome = decide_exactly(folded, root(folded).node(0), 0, FOREVER)
    assert outcome.status == "open" and "layer 1 (layer_1) was folded with rounding" in outcome.reason

    outcome = decide_exactly(query, root(query).node(0), 0, -FOREVER)
    assert (outcome.status, outcome.reason) == ("open", "time")


def test_a_file_that_rounds_otherwise_is_not_decided() -> None:
    """What is proved about the layers would not be about the file."""
    query = abs_sum(-1.0)
    coarse = replace(query, network=replace(query.network, unmodelled="node 'Cast_0' rounds to float16"))
    outcome = at_root(coarse)
    assert (outcome.status, outcome.reason) == ("open", "not exact: node 'Cast_0' rounds to float16")


def test_overflowed_half_spaces_are_left_out() -> None:
    """A half-space with an infinite or undefined entry says nothing."""
    query = abs_sum(-1.0)
    batch = root(query)
    batch.cuts = np.array([[[np.inf, 1.0], [np.nan, 0.0], [1.0, -np.inf]]])
    assert decide_exactly(query, batch.node(0), 0, FOREVER).status == "closed"


def asked(query: Query) -> Result:
    """The verdict on a query of `abs_sum`, its network in memory."""
    network = replace(query.network, layers=query.network.layers[:-1], output_shape=())
    return verify(network, Property((query.case,), 1, 1), timeout=60.0, jobs=1)


def test_a_counterexample_that_is_no_float_is_told() -> None:
    """|3 x - 1| <= 0 holds at a third only: `unknown`, with the reason and the fraction, which is printed as one."""
    result = asked(abs_sum(0.0, third=True))
    assert (result.verdict, result.real_counterexample) == ("unknown", (Fraction(1, 3),))
    assert result.reason == "a counterexample of the real-valued network that is no point of float64 numbers"
    assert json.loads(json_text(result))["real_counterexample"] == ["1/3"]
    assert "input:  1/3 (of the real-valued network)" in summary(result)


def test_nodes_that_no_float_can_split_are_settled() -> None:
    """Axes alone halve the box around a third down to neighbouring floats; the node left over is decided exactly."""
    network = sequential([np.array([[3.0], [-3.0]]), np.ones((1, 2))], [np.array([-1.0, 1.0]), np.zeros(1)])
    case = Case(InputSet.box(np.zeros(1), np.ones(1)), (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    result = verify(network, Property((case,), 1, 1), timeout=60.0, jobs=1, method="split", rule="axes", clip=False)
    assert (result.verdict, result.real_counterexample) == ("unknown", (Fraction(1, 3),)), result.reason


def test_numerics_says_what_was_too_large() -> None:
    """A folded layer is not exact: what floats cannot decide stays open, and the reason names the layer."""
    network = sequential([np.array([[3.0], [-3.0]]), np.ones((1, 2))], [np.array([-1.0, 1.0]), np.zeros(1)])
    network = replace(network, layers=(replace(network.layers[0], roundings=1), network.layers[1]))
    case = Case(InputSet.box(np.zeros(1), np.ones(1)), (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    result = verify(network, Property((case,), 1, 1), timeout=60.0, jobs=1, method="split")
    assert result.verdict == "unknown" and result.real_counterexample is None
    assert result.reason.startswith("numerics") and "layer_1) was folded with rounding" in result.reason


def test_a_counterexample_that_float32_does_not_reproduce_is_told(tmp_path: Path) -> None:
    """|1.5 x - N / 2^24| <= 0: float32 products with 1.5 leave this N out, the real solution is 2 N / (3 2^24)."""
    n = 13421773
    first = np.array([[1.5], [-1.5]], dtype=np.float32), np.array([-n, n], dtype=np.float32) / np.float32(2**24)
    file = write_network(tmp_path / "gap.onnx", [first, (np.ones((1, 2), dtype=np.float32), None)])
    prop = property_of(tmp_path / "gap.vnnlib", "(<= Y_0 0.0)", ((0.5, 0.75),))
    result = verify(file, prop, timeout=60.0, jobs=1)
    assert (result.verdict, result.real_counterexample) == ("unknown", (Fraction(2 * n, 3 * 2**24),))
    assert result.reason.endswith("float32 evaluation does not reproduce")


def test_nodes_closed_in_exact_arithmetic_are_counted() -> None:
    """1 + 2^-52 <= y <= 1 is impossible by less than float bounds tell: proved, and the account says by what."""
    forbidden = Polyhedron(np.array([[1.0], [-1.0]]), np.array([1.0, -1.0 - 2.0**-52]))
    case = Case(InputSet.box(np.zeros(1), np.ones(1)), (forbidden,))
    network = sequential([np.full((1, 1), 3.0), np.ones((1, 1))], [np.zeros(1), np.zeros(1)])
    result = verify(network, Property((case,), 1, 1), timeout=60.0, jobs=1)
    assert result.verdict == "unsat" and "exact arithmetic" in result.evidence
