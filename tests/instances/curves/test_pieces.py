"""Pieces of functions that jump, against the curves themselves."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hypersplit.encodings.exact.region import ExactNetwork
from hypersplit.instances.curves.names import curve
from hypersplit.instances.curves.pieces import MOST_PIECES, exact_value, has_pieces, pieces
from hypersplit.instances.judges.exact_evaluation import exact_output
from hypersplit.instances.network import Layer, Network

KINDS = (
    "step:0.0", "step:0.5", "step:1.0", "threshold:1.0", "threshold:-0.5", "shrink:0.5:0.25", "shrink:0.0:1.0",
    "floor", "round",
)  # fmt: skip
PLACES = np.concatenate([np.arange(-4.0, 4.01, 0.25), [0.1, -0.1, 1e-9, -1e-9, 1.0 + 1e-9, 0.5 - 1e-9]])


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_lies_on_one_piece_and_has_the_curves_value_there(kind: str) -> None:
    """At jumps and beside them, whether a single number is asked about or a range around it."""
    for number in PLACES.tolist():
        z = Fraction(number)
        around = [piece for piece in pieces(kind, Fraction(-5), Fraction(5)) if piece.holds(z)]
        alone = [piece for piece in pieces(kind, z, z) if piece.holds(z)]
        assert around == alone and len(alone) == 1, number
        assert float(alone[0].slope * z + alone[0].shift) == curve(kind).value(np.array([number]))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_only_pieces_that_meet_the_range_come(kind: str) -> None:
    """Each has a number in common with it: its ends belong to it or not."""
    for low, high in ((0, 0), (0, 1), (-1, 0), (Fraction(1, 2), 1), (Fraction(-1, 2), Fraction(1, 2))):
        low, high = Fraction(low), Fraction(high)
        inside = [low, high, (low + high) / 2, low + (high - low) / 1000, high - (high - low) / 1000]
        wanted = {piece for z in inside for piece in pieces(kind, z, z) if piece.holds(z)}
        assert set(pieces(kind, low, high)) == wanted, (low, high)


def test_stairs_over_a_wide_range_are_cut_off() -> None:
    """One more than may be gone through tells that there are too many."""
    assert MOST_PIECES < len(pieces("floor", Fraction(0), Fraction(10**9))) < 2 * MOST_PIECES


def test_other_curves_have_none() -> None:
    """A sigmoid is refused, ReLUs are no business of theirs."""
    assert not has_pieces("sigmoid") and not has_pieces("relu") and has_pieces("step:0.5")
    with pytest.raises(ValueError, match="no affine pieces"):
        pieces("sigmoid", Fraction(0), Fraction(1))


@pytest.mark.parametrize("kind", KINDS)
def test_networks_with_jumps_are_evaluated_exactly(kind: str) -> None:
    """f(x) = 3 act(x - 1/4) + 1/8 at numbers that floats hold, and at a third; both ways of evaluation."""
    layers = (
        Layer((0,), (np.ones((1, 1)),), np.array([-0.25]), kind),
        Layer((1,), (np.array([[3.0]]),), np.array([0.125]), "identity"),
    )
    network = Network(1, layers)
    for x in [Fraction(number) for number in PLACES.tolist()] + [Fraction(1, 3)]:
        wanted = [3 * exact_value(kind, x - Fraction(1, 4)) + Fraction(1, 8)]
        assert ExactNetwork(network).output([x]) == wanted, x
        if float(x) == x:
            assert exact_output(network, np.array([float(x)])) == wanted, x


def test_wider_pieces_overlap() -> None:
    """Each goes on at both ends, which belong to it; what has no end has none, and by 0 nothing changes."""
    by = Fraction(1, 8)
    for kind in ("step:0.5", "threshold:1.0", "shrink:1.0:0.5", "round"):
        for piece in pieces(kind, Fraction(-2), Fraction(2)):
            wider = piece.wider(by)
            assert piece.wider(Fraction(0)) == piece and wider[:2] == piece[:2]
            for end, moved, out in ((piece.low, wider.low, -by), (piece.high, wider.high, by)):
                assert (moved is None) if end is None else (moved == end + out and wider.holds(end + out))
