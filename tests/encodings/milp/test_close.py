"""SCIP's big-M MILP against the oracle: refuted only what holds, candidates that replay, honest when stopped."""

from __future__ import annotations

import csv
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from milp_problems import MEMORY, NEAR, SECONDS, assert_honest, bounded, exact_minimum, replace_threshold, wide_query
from random_instances import Shape, random_instance, random_nodes

from hypersplit.encodings.milp.close import SCIP_MARGIN, MilpOptions, MilpResult, close
from hypersplit.encodings.milp.margins import STRATEGIES
from hypersplit.instances.batch import root
from hypersplit.instances.network import Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries

BENCHMARKS = Path(__file__).resolve().parents[3] / ".." / "shared" / "benchmarks"
CHUNK = 40


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("first", range(0, 6 * CHUNK, CHUNK))
def test_verdicts_agree_with_enumeration(first: int, strategy: str) -> None:
    """Roots of random instances: each disjunct, and all of them jointly, are refuted or hit as the oracle says."""
    for seed in range(first, first + CHUNK):
        instance = random_instance(seed)
        for query in queries(instance.network, instance.prop):
            node = bounded(query, root(query).node(0))
            if node is None:
                continue
            for disjunct in [*range(query.disjuncts), None]:
                asked = list(range(query.disjuncts)) if disjunct is None else [disjunct]
                answer = close(query, node, disjunct, SECONDS, MEMORY, MilpOptions(seed=seed, strategy=strategy))
                truth = exact_minimum(query, node, asked)
                assert_honest(answer, query, node, truth, f"{instance}, disjunct {disjunct}: {answer}, exact {truth}")
                if truth is not None and truth < -Fraction(NEAR):
                    margins = query.per_disjunct(query.network.evaluate(np.array(answer.points)))[:, asked]
                    assert margins.min() <= 0.0, f"{instance}: no candidate of {answer} replays"


@pytest.mark.parametrize("first", range(0, 2 * CHUNK, CHUNK))
def test_nodes_with_phases_and_half_spaces_agree_with_enumeration(first: int) -> None:
    """Nodes of a search (smaller boxes, half-spaces, fixed phases, rough weights), empty ones among them."""
    for seed in range(first, first + CHUNK):
        rng = np.random.default_rng(seed)
        instance = random_instance(seed, shape=Shape(rough=seed % 2 == 0))
        for query in queries(instance.network, instance.prop):
            batch = random_nodes(rng, query, 2)
            for node in filter(None, (bounded(query, batch.node(b)) for b in range(2))):
                truth = exact_minimum(query, node, [0])
                answer = close(query, node, 0, SECONDS, MEMORY)
                label = f"{instance}: {answer}, exact {truth}"
                if truth is None:
                    assert answer.status in ("refuted", "candidate"), label  # empty by less than a tolerance
                else:
                    assert_honest(answer, query, node, truth, label)


def test_equality_is_found_exactly() -> None:
    """Rows that meet only by equality (as in sat_relu): some candidate's margins are exactly 0 in float64."""
    # y0 = 1 - sum of ReLU(clause violation), y1 = 1 - sum of |x (1 - x)|-like hats: y0 >= 1 and y1 <= 0 only at corners
    first = np.array([[-1.0, -1.0, 0.0], [1.0, 0.0, 1.0], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    network = sequential(
        [first, np.array([[-1.0, -1.0, 0.0, 0.0, 0.0], [1.0, 1.0, -1.0, -1.0, 0.0]])],
        [np.array([1.0, -1.0, -1.0, -1.0, -1.0]), np.array([1.0, 1.0])],
    )
    rows = np.array([[-1.0, 0.0], [0.0, 1.0]])
    case = Case(InputSet.box(np.zeros(3), np.ones(3)), (Polyhedron(rows, np.array([-1.0, 0.0])),))
    query = queries(network, Property((case,), 3, 2))[0]
    node = bounded(query, root(query).node(0))
    assert node is not None
    answer = close(query, node, 0, SECONDS, MEMORY)

    assert answer.status == "candidate"
    assert query.worst(query.network.evaluate(np.array(answer.points))).min() <= 0.0


def test_no_time_leaves_it_open() -> None:
    """With next to no time the answer is open, says why, and its bound claims nothing false."""
    query, node = wide_query()
    options = MilpOptions(accept=lambda points: False)
    none, little = (close(query, node, 0, seconds, MEMORY, options) for seconds in (0.0, 0.3))
    sampled = query.network.evaluate(np.random.default_rng(1).uniform(-1.0, 1.0, (1000, 12))).min()

    assert none.status == little.status == "open"
    assert "time" in none.reason and "time" in little.reason
    assert little.bound <= sampled


def test_a_start_is_handed_back_and_accepted() -> None:
    """A counterexample given as start becomes SCIP's first solution and ends the search at once."""
    query, node = wide_query()
    rng = np.random.default_rng(2)
    points = rng.uniform(-1.0, 1.0, (1000, 12))
    best = points[np.argmin(query.network.evaluate(points)[:, 0])]
    easy = replace_threshold(query, float(query.network.evaluate(best)[0]) + 1e-3)
    answer = close(easy, node, 0, SECONDS, MEMORY, MilpOptions(start=best))
    seen: list[int] = []
    refused = close(easy, node, 0, 1.0, MEMORY, MilpOptions(start=best, accept=lambda p: bool(seen.append(len(p)))))

    assert answer.status == "candidate"
    assert min(np.abs(p - best).max() for p in answer.points) < 1e-6
    assert seen and refused.points


def test_the_margin_is_kept_from_refutation() -> None:
    """A network whose smallest margin is positive but below SCIP_MARGIN is never refuted."""
    for gap in (0.0, 0.1 * SCIP_MARGIN, 0.5 * SCIP_MARGIN, 10.0 * SCIP_MARGIN):
        network = sequential([np.array([[1.0], [-1.0]]), np.ones((1, 2))], [np.zeros(2), np.zeros(1)])  # |x|
        case = Case(InputSet.box(-np.ones(1), np.ones(1)), (Polyhedron(np.ones((1, 1)), np.array([-gap])),))
        query = queries(network, Property((case,), 1, 1))[0]
        node = bounded(query, root(query).node(0))
        assert node is not None
        answer = close(query, node, 0, SECONDS, MEMORY)

        assert answer.status == ("refuted" if gap > SCIP_MARGIN else "candidate"), f"gap {gap}: {answer}"


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "hardswish"])
def test_s_shaped_networks_are_refuted_soundly(kind: str) -> None:
    """Relaxed activations: what is refuted is below no sampled output, and easy properties are refuted."""
    refuted = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        sizes = [2, 4, 3, 1]
        layers = tuple(
            Layer((k,), (rng.standard_normal((b, a)),), rng.standard_normal(b), kind if k < 2 else "identity")
            for k, (a, b) in enumerate(zip(sizes[:-1], sizes[1:], strict=True))
        )
        network = Network(2, layers)
        low = float(network.evaluate(rng.uniform(-1.0, 1.0, (5000, 2))).min())
        for gap in (0.0, 0.5, 5.0):
            polyhedron = Polyhedron(np.ones((1, 1)), np.array([low - gap]))
            case = Case(InputSet.box(-np.ones(2), np.ones(2)), (polyhedron,))
            query = queries(network, Property((case,), 2, 1))[0]
            node = bounded(query, root(query).node(0))
            assert node is not None
            answer = close(query, node, 0, SECONDS, MEMORY)
            refuted += answer.status == "refuted"
            assert gap > 0.0 or answer.status == "candidate", f"seed {seed}: {answer} although a sample is hit"

    assert refuted >= 10


def test_several_run_in_threads_and_equal_seeds_give_equal_answers() -> None:
    """Models solved in parallel threads give what they give alone."""
    problems = []
    for seed in range(4):
        instance = random_instance(seed)
        query = queries(instance.network, instance.prop)[0]
        node = bounded(query, root(query).node(0))
        assert node is not None
        problems.append((query, node))
    alone = [close(query, node, None, SECONDS, MEMORY, MilpOptions(seed=7)) for query, node in problems]
    together: dict[int, MilpResult] = {}

    def work(number: int) -> None:
        together[number] = close(*problems[number], None, SECONDS, MEMORY, MilpOptions(seed=7))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(problems))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [(a.status, a.nodes) for a in alone] == [(together[k].status, together[k].nodes) for k in range(4)]


def test_errors_of_the_caller_come_through() -> None:
    """Unbounded neurons are a ValueError; an exception in `accept` is raised, not lost inside SCIP."""
    query, node = wide_query()

    def fail(points: np.ndarray) -> bool:
        raise RuntimeError("accept failed")

    with pytest.raises(ValueError, match="bound the node first"):
        close(query, root(query).node(0), 0, SECONDS, MEMORY)
    with pytest.raises(RuntimeError, match="accept failed"):
        close(replace_threshold(query, 5.0), node, 0, SECONDS, MEMORY, MilpOptions(accept=fail))


def test_sat_relu_benchmarks() -> None:
    """Small instances of sat_relu, satisfied by equality only, get their known verdicts."""
    if not BENCHMARKS.is_dir():
        pytest.skip("benchmark pack ../shared/benchmarks is absent")
    from hypersplit.instances.onnx.reader import read_network
    from hypersplit.instances.vnnlib.reader import read_property

    with open(BENCHMARKS / "truth.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["family"] == "sat_relu"]
    small = [row for row in rows if int(row["vnnlib"].split("_c")[1].split(".")[0]) < 60]
    assert len(small) >= 4
    for row in small:
        network = read_network(str(BENCHMARKS / "sat_relu" / row["onnx"]))
        prop = read_property(str(BENCHMARKS / "sat_relu" / row["vnnlib"]), network.input_size, network.output_size)
        (query,) = queries(network, prop)
        node = bounded(query, root(query).node(0))
        assert node is not None
        answer = close(query, node, 0, SECONDS, MEMORY)

        assert answer.status == {"sat": "candidate", "unsat": "refuted"}[row["verdict"]], f"{row['vnnlib']}: {answer}"
        if answer.points and answer.status == "candidate":
            assert query.worst(query.network.evaluate(np.array(answer.points))).min() <= 0.0, row["vnnlib"]
