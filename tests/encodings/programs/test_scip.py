"""The one door to SCIP: nobody else imports it, and whatever it does costs its own time only."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from milp_problems import MEMORY, SECONDS, bounded, wide_query
from random_instances import random_instance

from hypersplit.encodings.milp import close as milp_close
from hypersplit.encodings.milp.margins import MarginModel
from hypersplit.encodings.programs import scip
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.encodings.programs.safe_lp import SafeLP
from hypersplit.encodings.programs.scip import (
    Simplex,
    attempt,
    dual_bound,
    excused,
    failed,
    new_model,
    optimise,
    root_bound,
    set_limits,
)
from hypersplit.instances.batch import root
from hypersplit.instances.query import queries

ROOT = Path(scip.__file__).resolve().parents[2]
SCIPS_OWN = [Exception("SCIP: error in LP solver!"), MemoryError("SCIP: insufficient memory error!"), MemoryError()]
OURS = [ValueError("a shape"), KeyError("x"), Exception("of ours"), KeyboardInterrupt()]


def test_nobody_else_imports_pyscipopt() -> None:
    """One file of the package does, inside one function."""
    found = []
    for folder in ("instances", "encodings", "heuristics", "bab"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                found += [str(path.relative_to(ROOT)) for name in names if name.split(".")[0] == "pyscipopt"]
    assert found == ["encodings/programs/scip.py"]


@pytest.mark.parametrize("error", SCIPS_OWN, ids=repr)
def test_what_scip_raises_is_a_status(error: Exception) -> None:
    """Its own exceptions and want of memory become words, by either way."""
    with attempt() as outcome:
        raise error
    assert outcome.failure == excused(error) and failed(outcome.failure)


@pytest.mark.parametrize("error", OURS, ids=repr)
def test_our_own_mistakes_are_raised(error: BaseException) -> None:
    """So is Ctrl-C."""
    with pytest.raises(type(error)), attempt():
        raise error
    with pytest.raises(type(error)):
        excused(error)


def test_no_failure_is_none() -> None:
    """Steps that end well say nothing, and no status of SCIP's counts as a failure."""
    with attempt() as outcome:
        pass
    assert outcome.failure == ""
    assert not any(failed(status) for status in ("optimal", "infeasible", "timelimit", "unknown", "stopped", ""))


class Fake:
    """A SCIP that does what the test wants."""

    def __init__(self, error: BaseException | None = None, status: str = "optimal", bound: float = 0.0) -> None:
        self.error, self.status, self.bound = error, status, bound
        self.parameters: dict[str, Any] = {}

    def setParam(self, name: str, value: Any) -> None:
        """Kept."""
        self.parameters[name] = value

    def optimizeNogil(self) -> None:
        """Fails if it is to."""
        if self.error is not None:
            raise self.error

    def getStatus(self) -> str:
        """As given."""
        return self.status

    def getStage(self) -> int:
        """Solved."""
        return 10

    def getDualbound(self) -> float:
        """As given."""
        return self.bound

    getDualboundRoot = getDualbound


def test_what_looks_at_no_clock_is_not_begun_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that sets up for three seconds, whatever it is given, ends in time: there is none for another set-up."""

    class Slow:
        now, limit = 0.0, 0.0

        def setRealParam(self, which: int, limit: float) -> None:  # noqa: N802
            self.limit = limit

        def solve(self, dual: bool) -> None:
            self.now += max(3.0, self.limit)

        isOptimal = getNIterations = lambda self: 0  # noqa: N815

    simplex, slow = Simplex.__new__(Simplex), Slow()
    simplex.lp, simplex.parameters = slow, SimpleNamespace(LPTILIM=0)
    monkeypatch.setattr(scip, "time", SimpleNamespace(monotonic=lambda: slow.now))
    simplex._run(10.0, True)
    assert 3.0 < slow.now <= 10.0


def test_a_run_ends_in_a_status() -> None:
    """SCIP's own, or the words of what it raised; the time is never none."""
    model = Fake()
    assert optimise(model, -1.0) == "optimal" and model.parameters["limits/time"] > 0.0
    assert failed(optimise(Fake(SCIPS_OWN[0]), 1.0))
    with pytest.raises(ValueError, match="a shape"):
        optimise(Fake(ValueError("a shape")), 1.0)


def test_an_interruption_is_ctrl_c_unless_a_callback_wanted_it() -> None:
    """SCIP has one status for both."""
    with pytest.raises(KeyboardInterrupt):
        optimise(Fake(status="userinterrupt"), 1.0)
    assert optimise(Fake(status="userinterrupt"), 1.0, stopped=lambda: True) == "userinterrupt"


def test_what_a_callback_kept_comes_first() -> None:
    """Its failure is raised, whatever SCIP made of it."""
    callback: Any = SimpleNamespace(failure=ZeroDivisionError("inside"))
    for model in (Fake(), Fake(SCIPS_OWN[0]), Fake(status="userinterrupt")):
        with pytest.raises(ZeroDivisionError, match="inside"):
            optimise(model, 1.0, [SimpleNamespace(failure=None), callback])


@pytest.mark.parametrize(
    ("said", "meant"),
    [(1.5, 1.5), (1e20, math.inf), (-1e20, -math.inf), (math.inf, math.inf), (math.nan, -math.inf)],
)
def test_bounds_that_are_none(said: float, meant: float) -> None:
    """SCIP's infinity is infinite, and NaN bounds nothing."""
    assert dual_bound(Fake(bound=said)) == root_bound(Fake(bound=said)) == meant


def test_a_model_that_never_began_has_no_bound(capfd: pytest.CaptureFixture[str]) -> None:
    """It is asked for none, and prints nothing, not when it is solved either."""
    model = new_model()
    set_limits(model, 0.0, 1, 2**31 + 5)
    assert dual_bound(model) == root_bound(model) == -math.inf
    assert model.getParam("randomization/randomseedshift") == 5 and model.getParam("limits/memory") > 0.0
    set_limits(model, MEMORY, 1, 0)
    x = model.addVar(lb=1.0, ub=2.0)
    model.setObjective(x, "minimize")
    assert optimise(model, 10.0) == "optimal" and dual_bound(model) == pytest.approx(1.0)
    assert capfd.readouterr() == ("", "")


def small() -> Simplex:
    """min x + y, x + 2 y >= 2, 0 <= x, y <= 3: 1 at (0, 1)."""
    simplex = Simplex()
    simplex.add_columns(np.ones(2), np.zeros(2), np.full(2, 3.0))
    simplex.add_rows([[(0, 1.0), (1, 2.0)]], np.array([2.0]), np.array([np.inf]))
    return simplex


def test_a_small_linear_program() -> None:
    """Optimum, multipliers, basis, then changes in place: infeasible with a ray, and back."""
    simplex = small()
    assert simplex.solve(10.0) == "optimal"
    assert simplex.point() == pytest.approx([0.0, 1.0]) and simplex.duals() == pytest.approx([0.5])
    assert simplex.reduced_costs() == pytest.approx([0.5, 0.0]) and simplex.iterations() >= 0
    assert simplex.basis() == ([scip.AT_LOWER, scip.BASIC], [scip.AT_LOWER])
    simplex.change_sides(np.array([0]), np.array([20.0]), np.array([np.inf]))
    assert simplex.solve(10.0) == "infeasible" and simplex.ray() is not None
    simplex.change_bounds(np.array([0, 1]), np.zeros(2), np.full(2, np.inf))
    assert simplex.solve(10.0) == "optimal" and simplex.point() == pytest.approx([0.0, 10.0])
    simplex.change_costs(np.array([1]), np.array([5.0]))
    simplex.change_coefficients(np.array([0]), np.array([0]), np.array([2.0]))
    assert simplex.solve(10.0) == "optimal" and simplex.point() == pytest.approx([10.0, 0.0])


class Broken:
    """SoPlex that raises in the named methods."""

    def __init__(self, lp: Any, *names: str) -> None:
        self.lp, self.names = lp, names

    def __getattr__(self, name: str) -> Any:
        def fail(*_: object) -> None:
            raise Exception("SCIP: error in LP solver!")

        return fail if name in self.names else getattr(self.lp, name)


GETTERS = ("getDual", "getDualRay", "getPrimal", "getRedcost", "getNIterations", "getBase")


def test_a_simplex_that_does_not_answer() -> None:
    """Multipliers and points are 0, of which nothing follows, and there is no ray nor basis."""
    simplex = small()
    assert simplex.solve(10.0) == "optimal"
    simplex.lp = Broken(simplex.lp, *GETTERS)
    assert np.array_equal(simplex.duals(), [0.0]) and np.array_equal(simplex.point(), [0.0, 0.0])
    assert np.array_equal(simplex.reduced_costs(), [0.0, 0.0]) and simplex.iterations() == 0
    assert simplex.ray() is None and simplex.basis() is None


@pytest.mark.parametrize("name", ["addCols", "addRows", "chgBound", "chgSide", "chgObj", "setBase"])
def test_a_program_that_nobody_knows_is_not_solved(name: str) -> None:
    """Once a change has failed, solving says so, and what is asked still raises nothing."""
    simplex = small()
    simplex.lp = Broken(simplex.lp, name)
    simplex.add_columns(np.zeros(1), np.zeros(1), np.ones(1))
    simplex.add_rows([[(0, 1.0)]], np.zeros(1), np.ones(1))
    simplex.change_bounds(np.array([0]), np.zeros(1), np.ones(1))
    simplex.change_sides(np.array([0]), np.zeros(1), np.ones(1))
    simplex.change_costs(np.array([0]), np.zeros(1))
    simplex.set_basis([scip.AT_LOWER] * 3, [scip.BASIC] * 2)
    assert failed(simplex.solve(10.0)) and failed(simplex.failure)


def test_a_solve_that_fails_may_be_tried_again() -> None:
    """The program is known, so the next solve is as good as any."""
    simplex = small()
    good = simplex.lp
    simplex.lp = Broken(good, "solve")
    assert failed(simplex.solve(10.0)) and not simplex.failure
    simplex.lp = good
    assert simplex.solve(10.0) == "optimal"


@pytest.mark.parametrize("dual", [True, False])
def test_the_other_simplex_is_asked_where_one_breaks_down(dual: bool) -> None:
    """Once."""
    simplex = small()
    good, asked = simplex.lp, list[bool]()

    class Half(Broken):
        def solve(self, by_dual: bool) -> None:
            asked.append(by_dual)
            if by_dual == dual:
                raise Exception("SCIP: error in LP solver!")
            good.solve(by_dual)

    simplex.lp = Half(good)
    assert simplex.solve(10.0, dual) == "optimal" and asked == [dual, not dual]
    assert simplex.point() == pytest.approx([0.0, 1.0])


def test_a_broken_solver_proves_what_no_multipliers_prove() -> None:
    """A safe bound asks nothing of SoPlex but multipliers, and 0 are as valid as any."""
    lp = SafeLP()
    lp.add_columns(np.array([-1.0, 0.0]), np.array([1.0, 2.0]))
    lp.simplex.lp = Broken(lp.simplex.lp, "solve", "chgObj", *GETTERS)
    lp.set_objective(np.array([1.0, 1.0]))
    assert failed(lp.solve(10.0))
    bound = lp.lower_bound(lp.multipliers(), lp.objective)
    assert bound <= -1.0 and bound == pytest.approx(-1.0)


@pytest.mark.parametrize("name", ["solve", "chgBound", "chgSide"])
def test_a_triangle_lp_is_built_anew_after_a_failure(name: str) -> None:
    """The failing LP proves nothing; the next node has a new solver, and its bound is that of a new LP."""
    for seed in range(20):
        query = queries(*(lambda i: (i.network, i.prop))(random_instance(seed)))[0]
        node = bounded(query, root(query).node(0))
        if node is None or not node.pre_lower.size or not query.network.piecewise_linear:
            continue
        model = TriangleLP(query, node)
        expected = model.minimise(0, SECONDS)
        model.triangles.lp.simplex.lp = Broken(model.triangles.lp.simplex.lp, name)
        if name != "solve":
            model.triangles.lp.simplex.change_bounds(np.array([0]), node.lower[:1], node.upper[:1])
            model.triangles.lp.simplex.change_sides(np.array([0]), np.zeros(1), np.zeros(1))
        answer = model.minimise(0, SECONDS)
        assert failed(answer.status) and answer.bound == -np.inf and answer.point is None
        model.update(node)
        again = model.minimise(0, SECONDS)
        assert again.status == expected.status and again.bound == pytest.approx(expected.bound, abs=1e-6)
        return
    pytest.fail("no instance")


@pytest.mark.parametrize("name", ["ask", "add_start", "run", "points"])
def test_a_milp_that_fails_anywhere_leaves_the_node_open(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is built, while it runs, and when it is asked what it found; the reason has SCIP's words."""

    def fail(*_: object, **__: object) -> None:
        raise Exception("SCIP: unspecified error!")

    monkeypatch.setattr(MarginModel, name, fail)
    query, node = wide_query()
    middle = 0.5 * node.lower + 0.5 * node.upper
    answer = milp_close.close(query, node, 0, SECONDS, MEMORY, milp_close.MilpOptions(start=middle))
    assert (answer.status, answer.bound) == ("open", -np.inf) and "unspecified error" in answer.reason
