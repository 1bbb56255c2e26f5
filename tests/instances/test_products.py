"""Pairs of squares that are products are found, and those that are not are left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from product_networks import FORMS, exact_values, random_network

from hypersplit.instances.network import Layer, Network
from hypersplit.instances.products import products_of

HALF = np.array([[0.5, 0.5], [0.5, -0.5]])


def squares(rows: np.ndarray, readers: np.ndarray, bias: np.ndarray | None = None) -> Network:
    """Squares of rows of the input, and an affine map of them."""
    first = Layer((0,), (rows,), np.zeros(len(rows)) if bias is None else bias, "power:2")
    return Network(rows.shape[1], (first, Layer((1,), (readers,), np.zeros(len(readers)))))


@pytest.mark.parametrize("form", FORMS)
def test_pairs_are_products_of_their_factors(form: str) -> None:
    """y_s - y_d = x_a x_b in rationals, wherever a product is found; every form has some, all read as differences."""
    network = random_network(form, 3)
    if form == "gates":  # sigmoids have no rational values; pairs depend on the squares' rows alone
        layers = tuple(replace(k, kind="identity") if k.kind == "sigmoid" else k for k in network.layers)
        network = replace(network, layers=layers)
    layers = tuple(replace(k, roundings=0, bias_error=0.0) for k in network.layers)
    values = exact_values(replace(network, layers=layers), np.array([0.3, -1.7, 0.9, 2.1]))
    found = products_of(network)
    assert found and all(p.opposite.all() for p in found.values())
    for k, products in found.items():
        for q in range(len(products)):
            a, b = (values[v[q]][i[q]] for v, i in (products.left, products.right))
            assert values[k][products.plus[q]] - values[k][products.minus[q]] == a * b


def test_order_and_sign_of_the_difference_do_not_matter() -> None:
    """d may be (x_b - x_a) / 2 and stand before s; then the factors change places."""
    rows = np.array([[0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    found = products_of(squares(rows, np.array([[-1.0, 0.0, 1.0, 0.0]])))[1]
    assert found.plus.tolist() == [2, 3] and found.minus.tolist() == [0, 1]
    assert found.left[1].tolist() == [0, 1] and found.right[1].tolist() == [1, 0]


@pytest.mark.parametrize(
    "rows",
    [2.0 * HALF, [[0.5, 0.5], [-0.5, -0.5]], [[0.5, 0.5], [0.5, -0.25]], [[0.5, 0.5], [0.0, 0.5]]],
)
def test_other_rows_are_no_products(rows: Any) -> None:
    """Other weights, two negative ones, or one entry alone: squares and nothing else."""
    assert products_of(squares(np.array(rows), np.array([[1.0, -1.0]]))) == {}


def test_layers_that_are_not_exact_have_no_products() -> None:
    """A bias, a declared error or rounding, or another curve."""
    network = squares(HALF, np.array([[1.0, -1.0]]))
    first, last = network.layers
    for change in ({"bias": np.array([0.0, 1e-9])}, {"bias_error": 1e-9}, {"roundings": 1}, {"kind": "power:4"}):
        assert products_of(replace(network, layers=(replace(first, **change), last))) == {}


def test_readers_of_one_square_alone_are_noticed() -> None:
    """The pair is found, but not as one that counts by its difference only."""
    found = products_of(squares(HALF, np.array([[1.0, -1.0], [2.0, -2.0]])))[1]
    assert found.opposite.tolist() == [True]
    found = products_of(squares(HALF, np.array([[1.0, -1.0], [2.0, -1.0]])))[1]
    assert found.opposite.tolist() == [False]


def test_products_of_matrices_share_their_factors() -> None:
    """Sixteen products of all pairs of four and four numbers do; as many as there are pairs of factors do not."""
    pairs = [(i, j) for i in range(4) for j in range(4, 8)]
    for chosen, shared in ((pairs, True), (pairs[::5], False)):
        rows = np.zeros((2 * len(chosen), 8))
        for k, pair in enumerate(chosen):
            rows[k, [*pair]], rows[len(chosen) + k, [*pair]] = 0.5, (0.5, -0.5)
        found = products_of(squares(rows, np.ones((1, len(rows)))))[1]
        assert len(found) == len(chosen) and found.shared == shared
