"""Tests of instances/families/random_networks.py, and of the size and quality of the carried files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import hypersplit
from hypersplit.instances.carried import DATA, carried
from hypersplit.instances.families.random_networks import (
    nested_max,
    nested_max_property,
    random_network,
    random_property,
    robustness,
)
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.onnx.writer import write_network


@pytest.mark.parametrize("d", range(2, 17))
def test_nested_max_is_the_maximum(d: int) -> None:
    """nested_max(d) gives max(x) exactly on dyadic inputs, with d - 1 ReLUs."""
    x = np.random.default_rng(d).integers(-16, 17, (50, d)) / 16.0
    network = nested_max(d)

    np.testing.assert_array_equal(x.max(axis=1), network.evaluate(x)[:, 0])
    assert d - 1 == sum(layer.size for layer in network.layers if layer.kind == "relu")


def test_nested_max_needs_two_inputs() -> None:
    """A maximum of one input is refused."""
    with pytest.raises(ValueError, match="at least two"):
        nested_max(1)


@pytest.mark.parametrize(("threshold", "verdict"), [(1.01, "unsat"), (1.0, "sat")])
@pytest.mark.parametrize("d", [2, 3, 5])
def test_nested_max_property(d: int, threshold: float, verdict: str) -> None:
    """The maximum over the unit cube is 1: above it nothing is found, at it the boundary is."""
    result = hypersplit.verify(nested_max(d), nested_max_property(d, threshold), timeout=60, jobs=1)

    assert verdict == result.verdict
    if result.witness:
        assert result.witness.output[0] >= threshold


def test_random_network_is_seeded_and_float32() -> None:
    """Equal seeds give equal weights, others do not, and all are float32 values."""
    a, b, c = (random_network([3, 5, 2], seed) for seed in (1, 1, 2))
    for p, q, r in zip(a.layers, b.layers, c.layers, strict=True):
        np.testing.assert_array_equal(p.weights[0], q.weights[0])
        assert not np.array_equal(p.weights[0], r.weights[0])
        np.testing.assert_array_equal(p.weights[0], p.weights[0].astype(np.float32))

    assert (3, 5, 2) == a.sizes


@pytest.mark.parametrize("outputs", [1, 3])
def test_slack_decides_random_properties(outputs: int) -> None:
    """Without slack one output is violated at the very middle; a huge slack makes every property hold."""
    network = random_network([2, 6, outputs], seed=3)
    strict, loose = random_property(network, 4), random_property(network, 4, slack=1e3)
    (case,) = strict.cases
    middle = (case.region.lower + case.region.upper) / 2
    y = network.evaluate(middle)

    assert (outputs == 1) == any(p.contains(y) for p in case.forbidden)
    assert "unsat" == hypersplit.verify(network, loose, timeout=60, jobs=1).verdict


def test_robustness_forbids_every_other_answer() -> None:
    """A tie and another largest output are forbidden, the label's lead is not; the box is cut."""
    prop = robustness(np.array([0.0, 0.5]), 1, 3, 0.25, 0.0, 0.6)
    (case,) = prop.cases

    np.testing.assert_array_equal([0.0, 0.25], case.region.lower)
    np.testing.assert_array_equal([0.25, 0.6], case.region.upper)
    assert any(p.contains(np.array([1.0, 1.0, 0.0])) for p in case.forbidden)
    assert any(p.contains(np.array([0.0, 1.0, 2.0])) for p in case.forbidden)
    assert not any(p.contains(np.array([0.0, 1.0, 0.5])) for p in case.forbidden)


@pytest.mark.parametrize(
    ("label", "radius", "upper"), [(-1, 0.1, 1.0), (3, 0.1, 1.0), (0, -0.1, 1.0), (0, 0.1, 0.3)]
)
def test_senseless_robustness_is_refused(label: int, radius: float, upper: float) -> None:
    """A label that is no output, a negative radius, and a box wholly outside the limits are refused."""
    with pytest.raises(ValueError, match="robustness"):
        robustness(np.array([0.5, 0.5]), label, 3, radius, 0.0, upper)


def test_equal_seeds_give_equal_files(tmp_path: Path) -> None:
    """The ONNX file of a seed is the same byte for byte, and another seed's is not."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_network(random_network([3, 5, 2], seed), tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")

    assert a == b
    assert a != c


def test_carried_nested_max_is_that_of_the_family(tmp_path: Path) -> None:
    """nested_max_6.onnx is what the writer makes of nested_max(6) today."""
    write_network(nested_max(6), tmp_path / "again.onnx")

    assert carried("nested_max_6.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()


def test_carried_files_are_small() -> None:
    """The wheel carries less than 600 KB of data, and no file of more than 64 KB."""
    sizes = {path.name: path.stat().st_size for path in DATA.iterdir() if path.is_file()}

    assert {name: size for name, size in sizes.items() if size > 64_000} == {}
    assert 0 < sum(sizes.values()) < 600_000


@pytest.mark.parametrize(("family", "share"), [("iris", 1 / 3), ("digits", 0.3)])
def test_accuracy_is_what_the_readme_says(family: str, share: float) -> None:
    """Measured anew on the held-out examples, each classifier has the accuracy that data/README.md states."""
    datasets = pytest.importorskip("sklearn.datasets")
    selection = pytest.importorskip("sklearn.model_selection")
    data = datasets.load_iris() if family == "iris" else datasets.load_digits()
    scale = 1.0 if family == "iris" else 16.0
    _, x, _, y = selection.train_test_split(
        data.data / scale, data.target, test_size=share, random_state=0, stratify=data.target
    )
    rows = re.findall(
        rf"^\| `({family}_\w+\.onnx)` .*?\| ([0-9.]+) % of ([0-9]+) test",
        carried("README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    assert {name for name, _, _ in rows} == {path.name for path in DATA.glob(f"{family}_*.onnx")}
    for name, stated, examples in rows:
        hits = read_network(carried(name)).evaluate(x).argmax(axis=1) == y
        assert (stated, examples) == (f"{100 * hits.mean():.1f}", str(len(y))), name
