"""Coefficients of pairs of squares: what is taken is exact, and what replaces it lies below."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from product_networks import FORMS, corners, question, random_network

from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.relaxations.kinds import lines
from hypersplit.encodings.relaxations.mccormick import Box
from hypersplit.encodings.relaxations.paired_squares import PairedSquares, as_read, factor_box
from hypersplit.instances.batch import root
from hypersplit.instances.network import Array
from hypersplit.instances.products import Products, products_of
from hypersplit.instances.property import InputSet

BOX = InputSet.box(np.array([-1.0, 0.2, -0.5, 0.1]), np.array([0.5, 1.0, 0.7, 0.3]))


def independent(ends: Array) -> tuple[Products, PairedSquares]:
    """Pairs of squares of two numbers each, with boxes [B, Q, 4], and nothing known of sums but the boxes."""
    count = ends.shape[1]
    index = np.arange(count)
    nobody = np.zeros(count, dtype=np.intp)
    products = Products(index, count + index, (nobody, index), (nobody, count + index), np.ones(count, dtype=bool))
    box = Box(*np.moveaxis(ends, 2, 0))
    low = [0.5 * box.left_lower + 0.5 * box.right_lower, 0.5 * box.left_lower - 0.5 * box.right_upper]
    high = [0.5 * box.left_upper + 0.5 * box.right_upper, 0.5 * box.left_upper - 0.5 * box.right_lower]
    line = lines("power:2", np.concatenate(low, axis=1), np.concatenate(high, axis=1))
    return products, PairedSquares.of(products, box, line)


def some_boxes(rng: np.random.Generator, nodes: int, pairs: int) -> Array:
    """[nodes, pairs, 4] factors' boxes."""
    ends = np.sort(rng.normal(size=(nodes, pairs, 2, 2)), axis=3)
    ends[:, ::3, 0] *= 0.1
    return ends.reshape(nodes, pairs, 4)


def test_shares_and_what_is_left_add_up() -> None:
    """c y_s + d y_d = share (y_s - y_d) + what is left, exactly, whatever c and d are."""
    rng = np.random.default_rng(1)
    products, pairs = independent(some_boxes(rng, 3, 40))
    given = rng.normal(size=(1, 5, 80))
    given[:, :3, 40:] = -given[:, :3, :40]
    given[:, 1, 40:] *= 1.0 + 2.0**-50
    given[:, 2, 40:] *= rng.uniform(0.3, 3.0, 40)
    given[:, :, ::9] = 0.0
    left, share = pairs.taken(given)
    assert left.shape == (3, 5, 80) and share.shape == (3, 5, 40)
    for one, (b, s, q) in ((share[i], i) for i in np.ndindex(share.shape)):
        for where, sign in ((products.plus[q], 1), (products.minus[q], -1)):
            assert Fraction(left[b, s, where]) + sign * Fraction(one) == Fraction(given[0, s, where])
    assert (share[:, 0] != 0.0).mean() > 0.5 and not share[:, 3:].all()


def test_planes_replace_products_from_below() -> None:
    """c a b >= c (plus z_s + minus z_d + intercept) at all corners, with equality at one; squares hardly ever win."""
    rng = np.random.default_rng(2)
    ends = some_boxes(rng, 4, 30)
    _, pairs = independent(ends)
    assert pairs.by_below.mean() > 0.9 and pairs.by_above.mean() > 0.9
    share = np.where(np.arange(30) % 2 == 0, pairs.by_below, -1.0 * pairs.by_above)[:, None]
    plus, minus, constants = pairs.moved(share)
    for b in range(4):
        total = Fraction(0)
        for q in range(30):
            c, on_sum, on_difference = (Fraction(float(a[b, 0, q])) for a in (share, plus, minus))
            sides = [[Fraction(float(x)) for x in ends[b, q, part]] for part in (slice(2), slice(2, 4))]
            total += min(c * x * y - on_sum * (x + y) / 2 - on_difference * (x - y) / 2 for x, y in product(*sides))
        assert 0 <= total - Fraction(float(constants[b, 0])) <= Fraction(1, 10**9)


@pytest.mark.parametrize("form", FORMS)
def test_boxes_hold_the_factors_and_readers_the_products(form: str) -> None:
    """At a grid over the input set, for the bounds of the whole walk."""
    query = question(random_network(form, 2), BOX)
    batch = root(query)
    bounds = bound(query, batch)
    values, _ = query.network.values(corners(BOX, 4))
    for k, products in products_of(query.network).items():
        box = factor_box(query, products, batch.lower, batch.upper, bounds.pre_lower, bounds.pre_upper)
        for (v, i), low, high in ((products.left, box[0], box[1]), (products.right, box[2], box[3])):
            found = np.stack([values[a][:, b] for a, b in zip(v, i, strict=True)], axis=1)
            assert (found >= low - 1e-9).all() and (found <= high + 1e-9).all()
        below, above = as_read(products, box, np.zeros((1, values[k].shape[1])), np.full((1, values[k].shape[1]), 1e9))
        difference = values[k][:, products.plus] - values[k][:, products.minus]
        assert (difference >= below[:, products.plus] - 1e-9).all()
        assert (difference <= above[:, products.plus] + 1e-9).all()
        assert not below[:, products.minus].any() and not above[:, products.minus].any()
