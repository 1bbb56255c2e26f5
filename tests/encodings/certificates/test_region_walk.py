"""Walks over activation regions: to their end they find the least distortion, earlier they bound it from below."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from distortions import distortion
from random_instances import Shape, random_network

from hypersplit.encodings.certificates.decision_boundary import decision_boundary_certificate, lipschitz_certificate
from hypersplit.encodings.certificates.polytope_distance import nearest
from hypersplit.encodings.certificates.questions import asked
from hypersplit.encodings.certificates.region_walk import region_walk
from hypersplit.encodings.certificates.simplex import simplex_certificate
from hypersplit.encodings.certificates.walked_regions import key_of, made
from hypersplit.instances.errors import InputError
from hypersplit.instances.families.random_networks import random_network as normal_network
from hypersplit.instances.network import Array, Layer, Network, sequential
from hypersplit.instances.property import InputSet

NORMS = (1, 2, np.inf)
PATIENCE = 600.0  # seconds: no walk of these tests may end by its time
WIDE = 2.0  # of the box around each point in which the oracle looks
ABOUT = 1e-5  # what the oracle's own solvers may be off by


def label_of(network: Network, x: Array) -> int:
    """The class answered at x."""
    return int(np.argmax(network.evaluate(x)))


def compare(network: Network, x: Array, norm: float, box: bool) -> bool:
    """Hold everything against the oracle; whether there was anything to hold against."""
    label, region = label_of(network, x), InputSet.box(x - WIDE, x + WIDE)
    truth = distortion(network, x, label, norm, region)
    ends = (region.lower, region.upper) if box else (-np.inf, np.inf)
    walk = region_walk(network, x[None], np.array([label]), norm, *ends, seconds=PATIENCE)
    lower, upper = float(walk.lower[0]), float(walk.upper[0])
    assert lower <= upper
    if walk.exact[0] and upper < np.inf:
        found = walk.points[0]
        assert np.linalg.norm(found - x, norm) <= upper <= max(lower * (1 + 1e-6), 1e-12)
        others = np.delete(network.evaluate(found), label)
        assert others.max() >= network.evaluate(found)[label] - 1e-12
    if not box and truth > WIDE:
        assert lower <= truth * (1 + ABOUT) and (not walk.exact[0] or lower >= WIDE * (1 - ABOUT))
        return False
    if truth == np.inf:
        assert upper == np.inf
        return False
    assert lower <= truth * (1 + ABOUT) + 1e-9 and upper >= truth * (1 - ABOUT) - 1e-9
    if walk.exact[0]:
        assert lower >= truth * (1 - ABOUT) - 1e-9
    for certificate in (simplex_certificate, decision_boundary_certificate, lipschitz_certificate):
        assert certificate(network, x[None], np.array([label]), norm)[0] <= truth * (1 + ABOUT) + 1e-12
    return bool(walk.exact[0])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", ["touching", "rough", "scaled"])
def test_walks_end_at_the_least_distortion(kind: str, norm: float) -> None:
    """On random networks, residual ones among them, the oracle's distance lies between the bounds, which meet."""
    shape = {
        "touching": Shape(most_inputs=3, most_relus=8, identity=0.2),
        "rough": Shape(most_inputs=3, most_relus=8, rough=True),
        "scaled": Shape(most_inputs=3, most_relus=8, rough=True, scale=1e4),
    }[kind]
    exact = compared = 0
    seed = 0
    while compared < 16:
        seed += 1
        rng = np.random.default_rng(seed)
        network = random_network(rng, shape)
        if network.output_size < 2:
            continue
        print(kind, norm, seed)
        x = rng.integers(-8, 9, network.input_size) / 8.0
        exact += compare(network, x, norm, box=bool(seed % 2))
        compared += 1
    assert exact > 0


@pytest.mark.parametrize("norm", NORMS)
def test_faces_of_several_neurons_are_crossed(norm: float) -> None:
    """Equal, opposite and multiple rows, dead and constant neurons, and points on their faces lose no region."""
    first = np.array([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    bias = np.array([-0.5, -1.0, 0.5, -0.5, 0.0, -2.0])
    twice = [1.0, -0.5, 0.25, 1.0, 3.0, -1.0]
    second = np.array([twice, twice, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    last = np.array([[1.0, -1.0, 1.0], [0.0, 0.0, 0.0]])
    network = sequential([first, second, last], [bias, np.zeros(3), np.array([-1.0, -0.25])])
    for x in ([0.0, 0.0], [0.5, 0.25], [0.5, 1.5], [0.125, -1.0]):
        assert compare(network, np.array(x), norm, box=True)


@pytest.mark.parametrize("norm", NORMS)
def test_regions_behind_dead_layers_are_found(norm: float) -> None:
    """Where a layer is 0 all over a region, the phases behind a face are those of the functions that begin there."""
    network = sequential(
        [np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -1.0], [-1.0, 2.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])],
        [np.array([-1.0, -1.0]), np.zeros(2), np.array([0.25, 0.0])],
    )
    assert compare(network, np.zeros(2), norm, box=True)
    assert compare(network, np.array([-0.25, 0.5]), norm, box=True)


def test_convolutions_are_walked_through() -> None:
    """A network with a sparse convolution is answered as its dense twin is."""
    from scipy.sparse import csr_array

    rng = np.random.default_rng(5)
    kernel = rng.normal(size=3)
    slid = np.array([np.roll(np.append(kernel, np.zeros(3)), k) for k in range(4)])
    last, biases = rng.normal(size=(2, 4)), [rng.normal(size=4), np.zeros(2)]
    x = rng.normal(size=(3, 6))
    dense = sequential([slid, last], biases)
    sparse = Network(6, (Layer((0,), (csr_array(slid),), biases[0], "relu"), dense.layers[1]))
    labels = dense.evaluate(x).argmax(axis=1)
    for norm in NORMS:
        one, two = (region_walk(network, x, labels, norm, seconds=PATIENCE) for network in (dense, sparse))
        assert one.exact.all() and np.allclose(one.lower, two.lower) and np.array_equal(one.regions, two.regions)


def test_budgets_leave_a_proved_bound() -> None:
    """Stopped after a few regions, the walk's bound is at least the certificate's and at most the distortion."""
    network = normal_network([3, 12, 2], 0)
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (4, 3))
    labels = network.evaluate(x).argmax(axis=1)
    certified = simplex_certificate(network, x, labels)
    whole = region_walk(network, x, labels, seconds=PATIENCE)
    assert whole.exact.all()
    before = certified * (1.0 - 1e-9)
    for regions in (1, 4, 16):
        short = region_walk(network, x, labels, seconds=PATIENCE, regions=regions)
        assert (short.lower >= before).all() and (short.lower <= whole.upper).all()
        assert (short.regions <= regions + 1).all()
        before = short.lower
    none = region_walk(network, x, labels, seconds=0.0)
    assert (none.lower <= whole.upper).all() and set(none.stopped) <= {"time", ""}


def test_the_graph_leads_to_every_region() -> None:
    """Nodes are the regions, told apart by their phases, and all of them can be come to from the first."""
    import networkx as nx

    network = normal_network([2, 10, 3], 0)
    x = np.array([[0.25, -0.5]])
    walk = region_walk(network, x, network.evaluate(x).argmax(axis=1), seconds=PATIENCE)
    graph = walk.graphs[0]
    assert len(graph) == walk.regions[0] == len({name for _, name in graph.nodes(data="phases")})
    assert nx.descendants(graph, 0) | {0} == set(graph)
    assert all(distance <= walk.lower[0] * (1 + 1e-9) for *_, distance in graph.edges(data="distance"))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("sizes", [[2, 7, 3], [2, 4, 4, 3], [3, 6, 2]])
def test_exactly_the_regions_nearer_than_the_answer_are_visited(sizes: list[int], norm: float) -> None:
    """Of all patterns of phases, those whose regions begin nearer than the least distortion, and none that do not."""
    network, ends, beyond_one = normal_network(sizes, 5), np.cumsum([0, *sizes[1:-1]]), 0
    x = np.random.default_rng(5).uniform(-1.0, 1.0, (3, sizes[0]))
    labels = network.evaluate(x).argmax(axis=1)
    walks = region_walk(network, x, labels, norm, seconds=PATIENCE)
    patterns = np.array(np.meshgrid(*[[False, True]] * ends[-1])).reshape(ends[-1], -1).T
    for b in np.flatnonzero(walks.exact & (walks.lower < np.inf)):
        question, distortion_there = asked(network, x[b : b + 1], labels[b : b + 1], norm), walks.lower[b]
        near, visited = set(), {name for _, name in walks.graphs[b].nodes(data="phases")}
        for pattern in patterns:
            phases = [pattern[None, i:j] for i, j in pairwise(ends)] + [np.ones((1, sizes[-1]), dtype=bool)]
            distance = nearest(made(question, phases).faces, float(norm))[0]
            if distance < distortion_there * (1.0 - 1e-6):
                near.add(key_of(network, phases))
            else:
                assert distance <= distortion_there * (1.0 + 1e-6) or key_of(network, phases) not in visited
        assert near <= visited
        beyond_one += len(near) > 1
    assert beyond_one


def test_a_wrong_label_has_no_distance() -> None:
    """Where the network answers otherwise, or ties, at the point itself, all bounds are 0."""
    network = normal_network([3, 8, 3], 1)
    x = np.random.default_rng(1).normal(size=(5, 3))
    labels = network.evaluate(x).argmin(axis=1)
    walk = region_walk(network, x, labels)
    assert walk.exact.all() and not walk.lower.any() and not walk.upper.any() and np.array_equal(walk.points, x)
    tied = sequential([np.eye(2), np.ones((2, 2))], [np.zeros(2), np.zeros(2)])
    assert region_walk(tied, np.ones((1, 2)), np.array([0])).upper[0] == 0.0


def test_bad_questions_are_refused() -> None:
    """Points outside the range, empty ranges, unknown norms and labels are said in one line."""
    network, x, label = normal_network([2, 4, 2], 0), np.zeros((1, 2)), np.array([0])
    for arguments in (
        {"lower": 1.0}, {"lower": 0.0, "upper": 0.0}, {"norm": 3}, {"labels": np.array([2])}, {"regions": 0},
        {"labels": np.array([0.5])}, {"points": np.zeros((1, 3))}, {"points": np.full((1, 2), np.nan)},
        {"network": normal_network([2, 4, 1], 0)}, {"network": normal_network([2, 4, 2], 0, "tanh")},
    ):  # fmt: skip
        with pytest.raises(InputError):
            region_walk(**({"network": network, "points": x, "labels": label} | arguments))
