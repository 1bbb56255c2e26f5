"""Unstable neurons are counted as samples show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hypersplit.bab.command.inspection import unstable_neurons
from hypersplit.instances.carried import carried
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.vnnlib.reader import read_property
from hypersplit.instances.vnnlib.writer import write_property

CONV, MLP = carried("digits_conv.onnx"), carried("digits_mlp_24x2.onnx")

DIGIT = carried("digit6_r0.09375.vnnlib")


def test_unstable_count_covers_every_sign_change() -> None:
    """A neuron whose sign differs between sampled inputs is counted, and no layer counts more than it has."""
    network = read_network(MLP)
    (case,) = read_property(DIGIT, network.input_size, network.output_size).cases
    rng = np.random.default_rng(0)
    x = rng.uniform(case.region.lower, case.region.upper, (500, network.input_size))
    counts = unstable_neurons(MLP, DIGIT)
    pre = network.values(x)[1]

    assert len(network.layers) == len(counts)
    assert counts[-1] == 0 < sum(counts)
    for k, layer in enumerate(network.layers):
        if layer.kind == "relu":
            changing = int((np.any(pre[k] > 0, axis=0) & np.any(pre[k] < 0, axis=0)).sum())
            assert changing <= counts[k] <= layer.size


def test_a_point_has_no_unstable_neuron(tmp_path: Path) -> None:
    """On an input set of one point no ReLU is undecided."""
    point = InputSet.box(np.array([0.3, -0.2]), np.array([0.3, -0.2]))
    prop = Property((Case(point, (Polyhedron(np.array([[1.0]]), np.zeros(1)),)),), 2, 1)
    write_property(prop, tmp_path / "point.vnnlib")

    assert [0, 0, 0] == unstable_neurons(carried("control_2d.onnx"), tmp_path / "point.vnnlib")
