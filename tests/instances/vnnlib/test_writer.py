"""Writing VNN-LIB 1: what is written reads back as the same property, bit by bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vnnlib_formulas import random_text

from hypersplit.instances.errors import PropertyError
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.vnnlib.reader import parse_property, read_property
from hypersplit.instances.vnnlib.writer import property_text, write_property


def assert_equal(left: Property, right: Property) -> None:
    """Same sizes, cases, boxes, half-spaces and polyhedra, in the same order, to the last bit."""
    assert (left.input_size, left.output_size, left.joint) == (
        right.input_size,
        right.output_size,
        right.joint,
    )
    assert len(left.cases) == len(right.cases)
    for a, b in zip(left.cases, right.cases, strict=True):
        for name in ("lower", "upper", "rows", "offsets", "strict_lower", "strict_upper", "strict"):
            np.testing.assert_array_equal(getattr(a.region, name), getattr(b.region, name), strict=True)
        assert len(a.forbidden) == len(b.forbidden)
        for p, q in zip(a.forbidden, b.forbidden, strict=True):
            np.testing.assert_array_equal(p.rows, q.rows, strict=True)
            np.testing.assert_array_equal(p.rhs, q.rhs, strict=True)
            np.testing.assert_array_equal(p.strict, q.strict, strict=True)


@settings(max_examples=200, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_normal_forms_survive_a_round_trip(seed: int) -> None:
    """Whatever the reader makes of a random text is what it makes of that, written."""
    rng = np.random.default_rng(seed)
    try:
        prop = parse_property(random_text(rng, 2, 2, mixed=bool(rng.random() < 0.5)))
    except PropertyError:
        return  # contradictory texts have no normal form
    if prop.joint and not any(np.any(p.rows[:, 2:]) for case in prop.cases for p in case.forbidden):
        return  # the one mixed atom was in a disjunct that is empty; nothing shows it any more
    assert_equal(prop, parse_property(property_text(prop)))


@settings(max_examples=100, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_floats_survive_a_round_trip(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bounds and coefficients of any magnitude come back to the last bit, whatever the number of cases."""
    rng = np.random.default_rng(seed)

    def wild(*shape: int) -> np.ndarray:
        return rng.normal(size=shape) * 10.0 ** rng.integers(-30, 30, size=shape)

    cases = []
    for _ in range(rng.integers(1, 4)):
        ends = np.sort(wild(2, 3), axis=0)
        region = InputSet(ends[0], ends[1], wild(2, 3), wild(2))
        sizes = rng.integers(1, 4, size=rng.integers(1, 4))
        cases.append(Case(region, tuple(Polyhedron(wild(k, 2), wild(k)) for k in sizes)))
    prop = Property(tuple(cases), 3, 2)
    path = tmp_path_factory.mktemp("written") / "p.vnnlib.gz"
    write_property(prop, path)
    assert_equal(prop, read_property(path))


def test_joint_rows_and_empty_polyhedra_are_written() -> None:
    """Rows over (y, x), and a polyhedron without rows among others, come back as they were."""
    box = InputSet.box(np.zeros(2), np.ones(2))
    everything = Polyhedron(np.zeros((0, 3)), np.zeros(0))
    joint = Polyhedron(np.array([[1.0, 0.0, -1.0], [2.0, 0.5, 0.0]]), np.array([0.0, -0.25]))
    other = InputSet.box(np.zeros(2), np.full(2, 2.0))
    prop = Property((Case(box, (joint, everything)), Case(other, (joint,))), 2, 1, joint=True)
    assert_equal(prop, parse_property(property_text(prop)))


def test_a_property_without_cases_is_written_as_false() -> None:
    """A property that holds vacuously is still one after a round trip."""
    prop = Property((), 2, 1)
    assert_equal(prop, parse_property(property_text(prop)))
    nothing = Property((Case(InputSet.box(np.zeros(2), np.ones(2)), ()),), 2, 1)
    assert_equal(prop, parse_property(property_text(nothing)))


def test_one_input_set_is_written_flat(tmp_path: Path) -> None:
    """The common case has the form of the competition's files: a command a bound, outputs in an or."""
    polyhedra = (
        Polyhedron(np.array([[1.0, -1.0]]), np.zeros(1)),
        Polyhedron(np.array([[0.0, -1.0]]), np.array([-0.1])),
    )
    prop = Property((Case(InputSet.box(np.array([0.1]), np.array([-0.0 + 0.3])), polyhedra),), 1, 2)
    path = tmp_path / "p.vnnlib"
    write_property(prop, path)
    lines = path.read_text().split("\n")
    assert lines[3:5] == ["(assert (>= X_0 0.1))", "(assert (<= X_0 0.3))"]
    assert lines[5:7] == ["(assert (or (and (<= Y_0 Y_1))", "  (and (>= Y_1 0.1))))"]
