"""Replay of candidates: float32 inside the box, the file's own outputs, no tolerance; the witness text."""

from __future__ import annotations

import gzip
import json
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from hypersplit.instances.errors import InputError
from hypersplit.instances.judges.exact_evaluation import enclose, exact_output
from hypersplit.instances.judges.replay import Replay, round_into
from hypersplit.instances.judges.witness import Witness, read_witness, witness_text
from hypersplit.instances.network import Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron
from hypersplit.instances.vnnlib.reader import read_property

BENCHMARKS = Path(__file__).resolve().parents[3] / ".." / "shared" / "benchmarks"
F32 = np.float32


def gemm_model(
    weight: list[list[float]], batch: int | str = 1, kind: int = TensorProto.FLOAT, flat: bool = False
) -> bytes:
    """Y = relu(X W'), as ONNX bytes; flat: behind a Reshape of X to one row, which no batch survives."""
    w = np.array(weight, dtype=helper.tensor_dtype_to_np_dtype(kind))
    nodes = [helper.make_node("Gemm", ["X", "W"], ["Z"], transB=1), helper.make_node("Relu", ["Z"], ["Y"])]
    initializers = [numpy_helper.from_array(w, "W")]
    if flat:
        nodes[0].input[0] = "A"
        nodes.insert(0, helper.make_node("Reshape", ["X", "one_row"], ["A"]))
        initializers.append(numpy_helper.from_array(np.array([1, w.shape[1]]), "one_row"))
    graph = helper.make_graph(
        nodes, "gemm",
        [helper.make_tensor_value_info("X", kind, [batch, w.shape[1]])],
        [helper.make_tensor_value_info("Y", kind, [batch, None if flat else w.shape[0]])],
        initializers,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


def like(weight: list[list[float]], source: str = "net.onnx") -> Network:
    """The network that `gemm_model` holds."""
    w = np.array(weight, dtype=np.float64)
    return Network(w.shape[1], (Layer((0,), (w,), np.zeros(len(w)), "relu"),), (1, w.shape[1]), source=source)


def replay(weight: list[list[float]], **options: object) -> Replay:
    return Replay(like(weight), gemm_model(weight, **options))  # type: ignore[arg-type]


def box_case(
    lower: list[float], upper: list[float], *forbidden: tuple[list[list[float]], list[float]]
) -> Case:
    """A box and its forbidden polyhedra."""
    polyhedra = tuple(Polyhedron(np.array(rows, dtype=np.float64), np.array(rhs)) for rows, rhs in forbidden)
    return Case(InputSet.box(np.array(lower), np.array(upper)), polyhedra)


@settings(max_examples=500, deadline=None)
@given(
    low=st.floats(-1e30, 1e30),
    width=st.floats(0, 1e-6),
    where=st.floats(0, 1),
    size=st.sampled_from([0.0, 1.0, 1e-20]),
)  # fmt: skip
def test_rounding_stays_inside_or_says_so(low: float, width: float, where: float, size: float) -> None:
    """The float32 nearest to x in the interval; if there is none, the one nearest to it, flagged."""
    low = low * size
    high = low + abs(low) * width + width * size
    x = min(max(low + where * (high - low), low), high)
    ((got,), rounded) = round_into(InputSet.box(np.array([low]), np.array([high])), np.array([x]))
    assert got == float(F32(got))
    around, steps = F32(x), [F32(x)]
    for direction in (F32(np.inf), F32(-np.inf)):
        step = around
        for _ in range(3):
            step = np.nextafter(step, direction)
            steps.append(step)
    inside = [float(s) for s in steps if low <= float(s) <= high]
    assert rounded == (not inside)
    if inside:
        assert low <= got <= high
        assert abs(Fraction(got) - Fraction(x)) == min(abs(Fraction(s) - Fraction(x)) for s in inside)
    else:
        gap = min(max(low - float(s), float(s) - high) for s in steps)
        assert max(low - got, got - high) == gap


def test_a_fixed_input_that_float32_lacks_is_rounded_and_flagged() -> None:
    """An input fixed to 0.1 is replayed as the float32 next to it, and the witness says so."""
    case = box_case([0.1, 0.0], [0.1, 1.0], ([[-1.0]], [-0.5]))
    witness = replay([[1.0, 1.0]]).check(case, np.array([0.1, 0.7]))
    assert witness is not None and witness.rounded
    np.testing.assert_array_equal(witness.input, np.array([0.1, 0.7], dtype=F32).astype(np.float64))


def test_a_box_narrower_than_one_unit_takes_the_float32_inside() -> None:
    """If the interval holds one float32, that is taken, even if x is nearer to another."""
    inside = float(np.nextafter(F32(1.0), F32(2.0)))
    case = box_case([inside - 1e-9], [inside + 2e-7 / 4], ([[-1.0]], [-1.0]))
    witness = replay([[1.0]]).check(case, np.array([inside - 1e-9]))
    assert witness is not None and not witness.rounded
    assert witness.input == inside


@pytest.mark.parametrize(("rhs", "found"), [(0.5, True), (float(np.nextafter(0.5, 0)), False), (0.75, True)])
def test_outputs_are_compared_without_tolerance(rhs: float, found: bool) -> None:
    """y <= rhs holds at y = rhs and not one unit below it."""
    case = box_case([0.0], [1.0], ([[1.0]], [rhs]))
    assert (replay([[1.0]]).check(case, np.array([0.5])) is not None) == found


def test_equality_is_met_exactly() -> None:
    """A forbidden set without interior, Y_0 = 0.5 and Y_1 = 0, is hit by the input that meets it."""
    forbidden = ([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], [0.5, -0.5, 0.0, 0.0])
    case = box_case([-1.0], [1.0], forbidden)
    check = replay([[1.0], [-1.0]]).check
    assert check(case, np.array([0.5])) is not None
    assert check(case, np.array([np.nextafter(F32(0.5), F32(1))])) is None


def test_cancelling_rows_are_decided_exactly() -> None:
    """Where float64 sums lose the difference, rational arithmetic does not."""
    # y = (x, x): 1e17 y_0 - 1e17 y_1 + y_0 is x exactly; in float64 it is 0 or 16 for small x.
    rows, x = [[1e17 + 16, -1e17, -15.0]], np.array([0.75])
    check = replay([[1.0], [1.0], [1.0]]).check
    assert check(box_case([0.0], [1.0], (rows, [0.75])), x) is not None
    assert check(box_case([0.0], [1.0], (rows, [float(np.nextafter(0.75, 0))])), x) is None


def test_any_polyhedron_counts_and_empty_ones_always() -> None:
    """One hit among the disjuncts is enough; a polyhedron without rows is hit by every output."""
    check = replay([[1.0]]).check
    far = ([[1.0]], [-1.0])
    x = np.array([0.5])
    assert check(box_case([0.0], [1.0], far), x) is None
    assert check(box_case([0.0], [1.0], far, ([[-1.0]], [-0.25])), x) is not None
    everything = Case(InputSet.box(np.zeros(1), np.ones(1)), (Polyhedron(np.zeros((0, 1)), np.zeros(0)),))
    assert check(everything, x) is not None


def test_candidates_outside_are_brought_into_the_box() -> None:
    """A candidate beside the box is replayed at the nearest point of it, one with NaN is none."""
    case = box_case([0.0], [1.0], ([[-1.0]], [-1.0]))
    check = replay([[1.0]]).check
    witness = check(case, np.array([1.5]))
    assert witness is not None and witness.input == 1.0
    assert check(case, np.array([np.nan])) is None


def test_half_spaces_are_checked_after_rounding() -> None:
    """x_0 + x_1 <= 0.3 holds for the candidate (0.1, 0.2) in float64 only; its float32 values are outside."""
    everything = (Polyhedron(np.zeros((0, 1)), np.zeros(0)),)
    region = InputSet(np.zeros(2), np.ones(2), np.array([[-1.0, -1.0]]), np.array([0.3]))
    check = replay([[1.0, 1.0]]).check
    assert Fraction(float(F32(0.1))) + Fraction(float(F32(0.2))) > Fraction(0.3)
    assert check(Case(region, everything), np.array([0.1, 0.2])) is None
    assert check(Case(region, everything), np.array([0.1, 0.19])) is not None


def test_joint_rows_see_inputs() -> None:
    """Rows over (y, x): y_0 <= x_0 with y = relu(2 x) holds only where x <= 0."""
    case = box_case([-1.0], [1.0], ([[1.0, -1.0]], [0.0]))
    check = replay([[2.0]]).check
    assert check(case, np.array([0.0]), joint=True) is not None
    assert check(case, np.array([0.5]), joint=True) is None


def test_double_models_keep_float64() -> None:
    """A model whose input is float64 gets the candidate unrounded."""
    case = box_case([0.1], [0.1], ([[-1.0]], [-0.1]))
    witness = replay([[1.0]], kind=TensorProto.DOUBLE).check(case, np.array([0.1]))
    assert witness is not None and not witness.rounded
    assert witness.input == 0.1 and witness.output == 0.1


@pytest.mark.parametrize(("batch", "flat"), [(1, False), ("N", False), ("N", True)])
def test_batches_equal_single_runs(batch: int | str, flat: bool) -> None:
    """A fixed batch of one is looped over, an open one is used whole, unless the model cannot take it."""
    weight = np.random.default_rng(7).normal(size=(3, 4)).tolist()
    runner = replay(weight, batch=batch, flat=flat)
    x = np.random.default_rng(8).normal(size=(5, 4))
    expected = np.maximum(x @ np.array(weight).T, 0.0)
    got = runner.run(x)
    assert got.dtype == F32 and got.shape == (5, 3)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    assert runner.session.batches == (batch == "N" and not flat)
    assert runner.run(np.zeros((0, 4))).shape == (0, 3)


def test_files_are_run_plain_or_packed_and_survive_pickling(tmp_path: Path) -> None:
    """A source is found with ".gz" behind it; a replay sent to another process starts its own session."""
    path = tmp_path / "net.onnx"
    (tmp_path / "net.onnx.gz").write_bytes(gzip.compress(gemm_model([[2.0]])))
    first = Replay(like([[2.0]], source=str(path)))
    assert first.run(np.array([[3.0]])) == 6.0
    path.write_bytes(gemm_model([[4.0]]))
    assert pickle.loads(pickle.dumps(first)).run(np.array([[3.0]])) == 12.0


def test_failures_of_the_runtime_name_the_file(tmp_path: Path) -> None:
    """Missing, malformed and misfitting models are input errors with the file's name in them."""
    case, x = box_case([0.0], [1.0], ([[1.0]], [0.0])), np.array([0.5])
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(gemm_model([[1.0]])[:40])
    for model in (broken, tmp_path / "absent.onnx"):
        with pytest.raises(InputError, match=model.name):
            Replay(like([[1.0]]), model).check(case, x)
    with pytest.raises(InputError, match=r"net\.onnx.*inputs"):
        Replay(like([[1.0]]), gemm_model([[1.0, 2.0]])).check(case, x)
    with pytest.raises(InputError, match=r"net\.onnx: 2 outputs"):
        Replay(like([[1.0]]), gemm_model([[1.0], [2.0]])).check(case, x)
    with pytest.raises(InputError, match=r"net\.onnx.*expected one of"):
        model = onnx.load_from_string(gemm_model([[1.0]]))
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.BOOL
        cast = helper.make_node("Cast", ["X"], ["F"], to=TensorProto.FLOAT)
        model.graph.node[0].input[0] = "F"
        model.graph.node.insert(0, cast)
        Replay(like([[1.0]]), model.SerializeToString()).check(case, x)


def random_network(rng: np.random.Generator, residual: bool = True) -> Network:
    """A small ReLU network with a sparse layer and a residual edge."""
    import scipy.sparse as sp

    w = [rng.normal(size=s) * 10.0 ** rng.integers(-3, 3) for s in ((5, 3), (5, 5), (2, 5), (2, 3))]
    layers = (
        Layer((0,), (w[0],), rng.normal(size=5), "relu"),
        Layer((1,), (sp.csr_array(w[1] * (rng.random((5, 5)) < 0.5)),), rng.normal(size=5), "relu"),
        Layer((0, 2), (w[3], w[2]), rng.normal(size=2)),
    )
    return Network(3, layers)


def fraction_output(network: Network, x: np.ndarray) -> list[Fraction]:
    """f(x) by Fractions, entry by entry."""
    values = [[Fraction(float(v)) for v in x]]
    for layer in network.layers:
        z = [Fraction(float(b)) for b in layer.bias]
        for s, w in zip(layer.sources, layer.weights, strict=True):
            dense = w if isinstance(w, np.ndarray) else w.toarray()
            z = [
                t + sum(Fraction(float(c)) * v for c, v in zip(r, values[s], strict=True))
                for t, r in zip(z, dense, strict=True)
            ]
        values.append([max(t, Fraction(0)) for t in z] if layer.kind == "relu" else z)
    return values[-1]


@pytest.mark.parametrize("seed", range(20))
def test_exact_and_enclosed_outputs(seed: int) -> None:
    """Scaled integers agree with Fractions, and the float64 enclosure contains them and is narrow."""
    rng = np.random.default_rng(seed)
    network, x = random_network(rng), rng.normal(size=3)
    exact = fraction_output(network, x)
    assert exact_output(network, x) == exact
    y, radius = enclose(network, x)
    for value, middle, r in zip(exact, y, radius, strict=True):
        assert abs(value - Fraction(float(middle))) <= Fraction(float(r))
    assert np.all(radius <= 1e-9 * (1.0 + np.abs(y).max()))


def test_enclosures_of_smooth_activations_hold() -> None:
    """sigmoid and tanh are enclosed too, against 50-digit decimals; they are never evaluated exactly."""
    from decimal import Decimal, localcontext

    for kind in ("sigmoid", "tanh"):
        network = sequential([np.array([[1.0]])], [np.zeros(1)], kind)
        for x in np.linspace(-30.0, 30.0, 301):
            y, radius = enclose(network, np.array([x]))
            with localcontext() as context:
                context.prec = 50
                power = (-Decimal(float(x)) * (1 if kind == "sigmoid" else 2)).exp()
                true = 1 / (1 + power) if kind == "sigmoid" else (1 - power) / (1 + power)
                assert abs(true - Decimal(float(y[0]))) <= Decimal(float(radius[0]))
        assert exact_output(network, np.zeros(1)) is None


def test_networks_in_memory_are_decided_exactly() -> None:
    """A float64 candidate on the very boundary counts, one beyond it does not, whatever float64 rounds."""
    rng = np.random.default_rng(3)
    network, x = random_network(rng), rng.normal(size=3)
    exact = fraction_output(network, x)
    box = InputSet.box(x - 1.0, x + 1.0)
    nearest = float(exact[0])
    above = nearest if Fraction(nearest) >= exact[0] else float(np.nextafter(nearest, np.inf))
    check = Replay(network).check
    for rhs, found in ((above, True), (float(np.nextafter(above, -np.inf)), False)):
        case = Case(box, (Polyhedron(np.array([[1.0, 0.0]]), np.array([rhs])),))
        witness = check(case, x)
        assert (witness is not None) == found
        assert witness is None or (np.array_equal(witness.input, x) and not witness.rounded)


def test_large_networks_in_memory_need_a_margin() -> None:
    """Too large to be evaluated exactly, a network's candidate counts only if float64 error cannot matter."""
    rng = np.random.default_rng(5)
    network = sequential(
        [rng.normal(size=(200, 110)), rng.normal(size=(1, 200))], [np.zeros(200), np.zeros(1)]
    )
    x = rng.normal(size=110)
    y = float(network.evaluate(x)[0])
    box = InputSet.box(x - 1.0, x + 1.0)
    check = Replay(network).check
    for rhs, found in ((y + 1e-6, True), (y, False), (y - 1e-6, False)):
        assert (check(Case(box, (Polyhedron(np.ones((1, 1)), np.array([rhs])),)), x) is not None) == found


def test_witness_text_is_exact() -> None:
    """The written numbers give the same float32 whether they are read as float64 first or not."""
    x = np.random.default_rng(1).normal(size=50).astype(F32) * F32(10) ** np.arange(-25, 25).astype(F32)
    text = witness_text(Witness(x.astype(np.float64), np.array([-0.017, 1e-9])))
    assert text.startswith("((X_0 ") and text.endswith("\n(Y_1 1e-09))")
    back = read_witness("sat\n" + text + "\n")
    np.testing.assert_array_equal(back.input, x.astype(np.float64))
    np.testing.assert_array_equal(back.output, [-0.017, 1e-9])
    tokens = [line.split()[1].rstrip(")") for line in text.split("\n")[:50]]
    np.testing.assert_array_equal([F32(t) for t in tokens], x)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("unsat", "no witness"), ("((X_0 1)", "expected"), ("((X_0 1)(X_0 2)(Y_0 1))", "twice"),
        ("((X_1 1)(Y_0 1))", "X_0"),
        ("((X_0 one)(Y_0 1))", "'one'"), ("((X_0 1)\n(Z_0 1))", "line 2"), ("((X_0 nan)(Y_0 1))", "finite"),
    ],
)  # fmt: skip
def test_malformed_witnesses_are_refused(text: str, words: str) -> None:
    """A witness that cannot be read says where and why."""
    with pytest.raises(InputError, match=words) as caught:
        read_witness(text, "result.txt")
    assert "result.txt" in str(caught.value)


def test_known_witnesses_replay() -> None:
    """All known counterexamples of the benchmarks with at most 400 inputs hit their forbidden sets."""
    if not BENCHMARKS.is_dir():
        pytest.skip("benchmark pack ../shared/benchmarks is absent")
    witnesses = json.loads(gzip.decompress((BENCHMARKS / "witnesses.json.gz").read_bytes()))
    flagged = 0
    for key, x in witnesses.items():
        if len(x) > 400:
            continue
        family, model, name = key.split("|")
        prop = read_property(BENCHMARKS / family / name)
        shell = Layer((0,), (np.zeros((prop.output_size, prop.input_size)),), np.zeros(prop.output_size))
        runner = Replay(Network(prop.input_size, (shell,), source=str(BENCHMARKS / family / model)))
        found = [runner.check(case, np.array(x), prop.joint) for case in prop.cases]
        assert any(found), key
        flagged += any(w is not None and w.rounded for w in found)
    assert flagged > 0
