"""What SCIP is told of curves and products: the network's values satisfy it, and its minima are those of a grid."""

from __future__ import annotations

import numpy as np
import pytest
from milp_problems import MEMORY, SECONDS, bounded
from product_networks import FORMS, corners, question, random_network

from hypersplit.encodings.milp.big_m import BigM
from hypersplit.encodings.milp.close import MilpOptions, close
from hypersplit.encodings.milp.curves import LARGEST_EXPONENT, expression, lines_around
from hypersplit.encodings.milp.model import NetworkModel
from hypersplit.encodings.programs.scip import library
from hypersplit.instances.batch import root
from hypersplit.instances.network import Layer, Network, activate
from hypersplit.instances.property import InputSet

BOX = InputSet.box(np.array([-1.0, 0.2, -0.5, 0.1]), np.array([0.5, 1.0, 0.7, 0.3]))
SAID = ("exp", "sigmoid", "softplus", "softsign", "tanh", "power:2", "power:3")
NOT_SAID = ("arctan", "hardswish", "elu:1.5")


def wave(kind: str, bias: tuple[float, float] = (0.1, -0.2)) -> Network:
    """act(3 x_0 - x_1 + b_0) - 2 act(x_0 + 2 x_1 + b_1) + x_1."""
    first = Layer((0,), (np.array([[3.0, -1.0], [1.0, 2.0]]),), np.array(bias), kind)
    return Network(2, (first, Layer((0, 1), (np.array([[0.0, 1.0]]), np.array([[1.0, -2.0]])), np.zeros(1))))


@pytest.mark.parametrize("form", FORMS)
def test_products_are_what_scip_is_told(form: str) -> None:
    """The network's values are solutions; a question just below the least value of a grid has no answer, one just above
    has one."""
    query = question(random_network(form, 1), BOX)
    node = bounded(query, root(query).node(0))
    assert node is not None
    model = NetworkModel(query, node, BigM())
    values = query.network.evaluate(points := corners(BOX, 9))[:, 0]
    for x in points[::800]:
        assert model.scip.checkSol(model.solution(x)[0], original=True)
    slack = 0.05 * (1.0 + float(np.ptp(values)))
    for shift, status in ((slack, "candidate"), (-slack, "refuted")):
        asked = question(random_network(form, 1), BOX, float(values.min()) + shift)
        answer = close(asked, node, 0, SECONDS, MEMORY, MilpOptions())
        assert answer.status == status, (form, answer)


@pytest.mark.parametrize("kind", SAID + NOT_SAID)
def test_curves_are_solutions(kind: str) -> None:
    """The network's values at a grid; and SCIP's bound is never above the least of them."""
    region = InputSet.box(np.array([-1.0, -0.5]), np.array([0.7, 1.0]))
    query = question(wave(kind), region)
    node = bounded(query, root(query).node(0))
    assert node is not None
    model = NetworkModel(query, node, BigM())
    points = corners(region, 25)
    for x in points[::50]:
        assert model.scip.checkSol(model.solution(x)[0], original=True)
    least = float(query.network.evaluate(points).min())
    answer = close(query, node, 0, SECONDS, MEMORY, MilpOptions(cutoff=1e3, accept=lambda _: False))
    assert answer.bound <= least + 1e-6
    if kind in SAID:  # the points, too, are the curve's own
        assert answer.bound >= least - 0.02 * (1.0 + abs(least))


@pytest.mark.parametrize("kind", SAID + NOT_SAID)
def test_lines_hold_the_curve(kind: str) -> None:
    """One pair or several, sampled."""
    for low, high in ((-2.0, 1.5), (0.3, 0.4), (-9.0, -1.0)):
        z = np.linspace(low, high, 501)
        value = activate(kind, z)
        for several in (False, True):
            found = list(lines_around(kind, low, high, several))
            assert len(found) == (10 if several else 2)
            for slope, least, most in found:
                assert least is None or (value - slope * z >= least - 1e-12).all()
                assert most is None or (value - slope * z <= most + 1e-12).all()


def test_large_exponents_are_not_said() -> None:
    """Where e^z says nothing within SCIP's tolerances lines are all there is."""
    assert expression(library(), "sigmoid", None, -LARGEST_EXPONENT - 1.0, 0.0) is None
    assert expression(library(), "tanh", None, 0.0, 0.6 * LARGEST_EXPONENT) is None
    assert expression(library(), "arctan", None, 0.0, 1.0) is None


@pytest.mark.parametrize("exponent", [1.5, 0.3, -0.5])
def test_powers_that_are_not_whole_are_lines(exponent: float) -> None:
    """SCIP is told of them what it is told of a root, and its bound holds."""
    region, kind = InputSet.box(np.array([0.5, -0.5]), np.array([1.5, 0.5])), f"power:{exponent}"
    query = question(wave(kind, (2.0, 3.0)), region)
    node = bounded(query, root(query).node(0))
    assert node is not None and expression(library(), kind, None, 0.5, 2.0) is None
    least = float(query.network.evaluate(corners(region, 25)).min())
    answer = close(query, node, 0, SECONDS, MEMORY, MilpOptions(cutoff=1e3, accept=lambda _: False))
    assert answer.bound <= least + 1e-6
