"""Every carried instance: the known verdict, and networks that compute what their files do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hypersplit
from hypersplit.instances.carried import DATA, carried, carried_instances, carried_verdicts
from hypersplit.instances.errors import InputError
from hypersplit.instances.onnx.reader import read_network

INSTANCES = carried_instances()
NETWORKS = sorted(DATA.glob("*.onnx"))


def _name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize(("network", "prop"), INSTANCES, ids=_name)
def test_verdict(network: Path, prop: Path) -> None:
    """verify() gives the verdict of truth.csv."""
    result = hypersplit.verify(network, prop, timeout=60, jobs=1)

    assert carried_verdicts()[network.name, prop.name] == result.verdict, result.reason


@pytest.mark.parametrize("path", NETWORKS, ids=_name)
def test_network_agrees_with_onnxruntime(path: Path) -> None:
    """float64 evaluation and onnxruntime's float32 differ by rounding only."""
    import onnxruntime as ort

    network = read_network(path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).uniform(-1.0, 7.0, (50, network.input_size)).astype(np.float32)
    shaped = x.reshape(len(x), *network.input_shape)
    y = np.concatenate([session.run(None, {network.input_name: one})[0] for one in shaped])

    np.testing.assert_allclose(network.evaluate(x), y.reshape(len(x), -1), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("family", ["iris", "digits"])
def test_nominal_inputs_are_answered_right(family: str) -> None:
    """The networks of a family give each nominal input the class written beside it."""
    rows = np.loadtxt(carried(f"{family}_nominal.csv"), delimiter=",", skiprows=1)

    assert 10 == len(rows)
    for path in NETWORKS:
        if path.name.startswith(family):
            np.testing.assert_array_equal(
                rows[:, -1], read_network(path).evaluate(rows[:, :-1]).argmax(axis=1)
            )


def test_lists_match_the_files() -> None:
    """Both lists name the same instances, every network and property is used, and both verdicts occur."""
    names = [(network.name, prop.name) for network, prop in INSTANCES]

    assert names == list(carried_verdicts())
    assert {p.name for p in DATA.glob("*.onnx")} == {network for network, _ in names}
    assert {p.name for p in DATA.glob("*.vnnlib")} == {prop for _, prop in names}
    assert {"sat", "unsat"} == set(carried_verdicts().values())


@pytest.mark.parametrize("name", ["absent.onnx", "../carried.py", "", "."])
def test_other_names_are_refused(name: str) -> None:
    """Only files in the folder itself are carried files."""
    with pytest.raises(InputError, match="no such carried file"):
        carried(name)
