"""Certificates of points: never above what attacks and exact arithmetic find, right to the face they stop at."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from random_instances import Shape, random_network

from hypersplit.encodings.certificates.boundaries import boundary_distance
from hypersplit.encodings.certificates.decision_boundary import decision_boundary_certificate, lipschitz_certificate
from hypersplit.encodings.certificates.lipschitz import spectral_norm
from hypersplit.encodings.certificates.simplex import region_certificate, simplex_certificate
from hypersplit.instances.carried import carried
from hypersplit.instances.errors import InputError
from hypersplit.instances.families.random_networks import random_network as normal_network
from hypersplit.instances.judges.region_certificate import RegionCertificate
from hypersplit.instances.network import Array, Layer, Network, sequential
from hypersplit.instances.onnx.reader import read_network

NORMS = (1, 2, np.inf)
CERTIFICATES = (simplex_certificate, decision_boundary_certificate, lipschitz_certificate)


def around(rng: np.random.Generator, points: Array, radii: Array, norm: float, count: int) -> Array:
    """[count, B, n] points at most so far from each of the points [B, n], many of them nearly so far."""
    steps = rng.normal(size=(count, *points.shape))
    if norm == 1:
        steps *= rng.random(steps.shape) < 0.3
    if norm == np.inf:
        steps = np.sign(steps)
    lengths = np.linalg.norm(steps, ord=norm, axis=2, keepdims=True)
    share = 1.0 - 1e-9 - rng.random((count, len(points), 1)) ** 8
    return points + steps / np.maximum(lengths, 1e-300) * np.minimum(radii, 1e6)[:, None] * np.maximum(share, 0.0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["iris_1layer", "iris_2layer", "digits_mlp_32", "digits_mlp_24x2", "digits_conv"])
def test_no_point_inside_is_answered_otherwise(name: str, norm: float) -> None:
    """Thousands of points in the certified balls of the carried networks keep the label."""
    network = read_network(carried(f"{name}.onnx"))
    rng = np.random.default_rng(3)
    x = rng.uniform(0.0, 1.0, (40, network.input_size))
    labels = network.evaluate(x).argmax(axis=1)
    for certificate in CERTIFICATES:
        radii = certificate(network, x, labels, norm)
        assert radii.shape == (40,) and (radii >= 0.0).all()
        inside = around(rng, x, radii, norm, 100)
        answers = network.evaluate(inside.reshape(-1, x.shape[1])).argmax(axis=1).reshape(100, 40)
        assert (answers == labels).all()
    assert simplex_certificate(network, x, labels, norm).min() > 0.0
    wrong = (labels + 1) % network.output_size
    assert not any(certificate(network, x, wrong, norm).any() for certificate in CERTIFICATES)


@pytest.mark.parametrize("norm", NORMS)
def test_records_hold_in_exact_arithmetic(norm: float) -> None:
    """The simplex certificate passes the exact check, a millionth more fails it, and JSON keeps every bit."""
    rng, told = np.random.default_rng(11), 0
    for shape in (Shape(residual=0.5), Shape(rough=True), Shape(rough=True, scale=1e5)):
        for _ in range(25):
            network = random_network(rng, shape)
            if network.output_size < 2:
                continue
            x = rng.normal(size=network.input_size)
            record = region_certificate(network, x, int(network.evaluate(x).argmax()), norm)
            assert RegionCertificate.from_json(record.to_json()) == record
            assert record.fault(network) == ""
            if 0.0 < record.radius < 1e100:
                told += 1
                slack = 1e-6 if shape.scale == 1.0 else 1e-2
                assert replace(record, radius=record.radius * (1.0 + slack)).fault(network) != ""
    assert told > 20


def test_faults_are_told() -> None:
    """A flipped phase, another label, another network and a text that is no record are found out."""
    network = normal_network([3, 6, 4, 3], 2)
    x = np.random.default_rng(2).normal(size=3)
    label = int(network.evaluate(x).argmax())
    record = region_certificate(network, x, label)
    assert record.radius > 0.0 and record.fault(network) == ""
    (first, *rest), *others = record.phases
    assert "neuron 0 of layer 1" in replace(record, phases=((not first, *rest), *others)).fault(network)
    assert "class" in replace(record, label=(label + 1) % 3).fault(network)
    assert "neuron" in record.fault(normal_network([3, 6, 4, 3], 3))
    with pytest.raises(InputError, match="another network"):
        record.fault(normal_network([3, 5, 4, 3], 3))
    for text in ("", "[]", "{}", record.to_json().replace("simplex", "other"), record.to_json().replace("true", "1")):
        with pytest.raises(InputError):
            RegionCertificate.from_json(text)
    assert replace(record, radius=math.inf).fault(network) != ""


@pytest.mark.parametrize("norm", NORMS)
def test_dead_neurons_limit_nothing(norm: float) -> None:
    """Neurons that are 0 throughout have no face; ones that floats cannot place leave nothing certified."""
    x, label = np.array([[1.0, 2.0]]), np.array([0])
    first = np.array([[1.0, 0.0], [0.0, 0.0]])
    network = sequential([first, np.array([[1.0, 1.0], [0.0, 0.0]])], [np.zeros(2), np.zeros(2)])
    assert simplex_certificate(network, x, label, norm)[0] == pytest.approx(1.0, rel=1e-9)
    on_a_face = sequential([np.eye(2), np.array([[1.0, 1.0], [0.0, 0.0]])], [np.array([0.0, -2.0]), np.zeros(2)])
    assert simplex_certificate(on_a_face, x, label, norm)[0] == 0.0


@pytest.mark.parametrize("norm", NORMS)
def test_the_lipschitz_certificate_is_never_below_theorem_4(norm: float) -> None:
    """The margin at the point is one of those over which the decision-boundary certificate takes the minimum."""
    for seed in range(5):
        network = normal_network([4, 9, 6, 3], seed)
        x = np.random.default_rng(seed).normal(size=(50, 4))
        labels = network.evaluate(x).argmax(axis=1)
        lipschitz = lipschitz_certificate(network, x, labels, norm)
        assert (decision_boundary_certificate(network, x, labels, norm) <= lipschitz * (1 + 1e-9)).all()
        assert (lipschitz > 0.0).all()


def test_theorem_4_is_the_papers() -> None:
    """Two layers, in l2: (b_k - b_j + sum of min(0, a_i z_i)) / (||a|| ||W||), where that is positive."""
    rng = np.random.default_rng(4)
    w, b, last, c = rng.normal(size=(5, 3)), rng.normal(size=5), 0.1 * rng.normal(size=(2, 5)), np.array([3.0, 0.0])
    x = rng.normal(size=(20, 3))
    z, a = x @ w.T + b, last[0] - last[1]
    paper = (3.0 + np.minimum(0.0, a * z).sum(axis=1)) / np.linalg.norm(a) / np.linalg.norm(w, 2)
    found = decision_boundary_certificate(sequential([w, last], [b, c]), x, np.zeros(20, dtype=int), 2)
    assert (paper > 0.0).any() and (found >= np.maximum(paper, 0.0) * (1.0 - 1e-5)).all()
    rows = np.abs(a) @ np.abs(w)  # the tighter of the two denominators
    best = paper * np.linalg.norm(a) * np.linalg.norm(w, 2) / min(
        np.linalg.norm(a) * np.linalg.norm(w, 2), np.linalg.norm(rows)
    )  # fmt: skip
    assert np.allclose(found, np.maximum(best, 0.0), rtol=1e-5)


def test_spectral_norms_are_upper_bounds() -> None:
    """Of matrices of known singular values, badly scaled ones among them, and tight to a millionth or so."""
    rng = np.random.default_rng(6)
    for size in (1, 3, 40):
        for scale in (1e-120, 1e-6, 1.0, 1e90):
            left, right = (np.linalg.qr(rng.normal(size=(size, size)))[0] for _ in range(2))
            values = scale * np.sort(rng.random(size))[::-1]
            norm = spectral_norm((left * values) @ right)
            assert values[0] * (1.0 - 1e-14) <= norm <= values[0] * (1.0 + 1e-5)
    assert spectral_norm(np.zeros((2, 3))) < 1e-100


@pytest.mark.parametrize("norm", NORMS)
def test_blocks_and_sparse_layers_change_nothing(norm: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks give the certificates of large ones, and sparse weights those of dense ones."""
    from scipy.sparse import csr_array

    from hypersplit.encodings.certificates import affine_pieces

    network = normal_network([30, 40, 20, 4], 7)
    sparse = replace(network, layers=tuple(replace(k, weights=(csr_array(k.weights[0]),)) for k in network.layers))
    x = np.random.default_rng(7).normal(size=(30, 30))
    labels = network.evaluate(x).argmax(axis=1)
    whole = [certificate(network, x, labels, norm) for certificate in CERTIFICATES]
    again = [certificate(sparse, x, labels, norm) for certificate in CERTIFICATES]
    monkeypatch.setattr(affine_pieces, "BLOCK_MB", 0.05)
    blocks = [certificate(network, x, labels, norm) for certificate in CERTIFICATES]
    for a, b, c in zip(whole, again, blocks, strict=True):
        assert np.allclose(a, b, rtol=1e-9) and np.allclose(a, c, rtol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_overflow_certifies_nothing(norm: float) -> None:
    """Beyond float64 all certificates are 0."""
    network = sequential([np.full((2, 2), 1e200), np.diag([1e200, 1.0])], [np.zeros(2), np.zeros(2)])
    for certificate in CERTIFICATES:
        assert certificate(network, np.ones((1, 2)), np.array([0]), norm)[0] == 0.0


@pytest.mark.parametrize("norm", NORMS)
def test_the_boundary_within_a_region_is_the_nearest_one_there(norm: float) -> None:
    """Points on it tie, are as far as the bound says, and no sampled point of the region is nearer."""
    rng, seen = np.random.default_rng(8), 0
    network = normal_network([3, 8, 8, 3], 8)
    x = rng.normal(size=(40, 3))
    y = network.evaluate(x)
    labels = y.argmax(axis=1)
    distances, points = boundary_distance(network, x, labels, norm)
    certified = simplex_certificate(network, x, labels, norm)
    assert (certified <= distances).all()
    pattern = [np.concatenate(network.values(a[None])[1][:-1], axis=1)[0] > 0 for a in x]
    for b in np.flatnonzero(np.isfinite(points).all(axis=1)):
        seen += 1
        assert np.linalg.norm(points[b] - x[b], norm) == pytest.approx(distances[b], rel=1e-6)
        values = np.sort(network.evaluate(points[b]))
        assert values[-1] == pytest.approx(values[-2], abs=1e-6)
        near = around(rng, x[b : b + 1], distances[b : b + 1], norm, 500)[:, 0]
        same = (np.concatenate(network.values(near)[1][:-1], axis=1) > 0) == pattern[b]
        assert (network.evaluate(near[same.all(axis=1)]).argmax(axis=1) == labels[b]).all()
    assert seen > 5


def test_residual_sums_and_final_relus_are_certified() -> None:
    """A network that adds its input to a later layer and ends in ReLUs is certified as its exact check wants it."""
    rng = np.random.default_rng(9)
    layers = (
        Layer((0,), (rng.normal(size=(4, 4)),), rng.normal(size=4), "relu"),
        Layer((0, 1), (rng.normal(size=(4, 4)), rng.normal(size=(4, 4))), rng.normal(size=4), "relu"),
        Layer((0, 1, 2), tuple(rng.normal(size=(3, 4)) for _ in range(3)), rng.normal(size=3), "relu"),
    )
    network, told = Network(4, layers), 0
    for x in rng.normal(size=(30, 4)):
        y = network.evaluate(x)
        if y.max() > 0.0:
            record = region_certificate(network, x, int(y.argmax()))
            told += record.radius > 0.0
            assert record.fault(network) == ""
    assert told > 5
