"""Reading VNN-LIB 2: the same normal form as of VNN-LIB 1, declarations of several networks, every message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same_properties import same
from vnnlib_formulas import in_version_2, random_text

from hypersplit.instances.errors import PropertyError
from hypersplit.instances.vnnlib.reader import parse_property, read_property

BENCHMARKS = Path(__file__).resolve().parents[3] / ".." / "shared" / "benchmarks"
F = "(vnnlib-version <2.0>)\n(declare-network f (declare-input X real [1,2]) (declare-output Y real [2]))\n"
BOX = "(assert (and (<= X[0,0] 1) (>= X[0,0] -1) (<= X[0,1] 1) (>= X[0,1] -1)))\n"


@settings(max_examples=200, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_both_versions_have_one_normal_form(seed: int) -> None:
    """A random text of version 1 and its translation are the same property."""
    rng = np.random.default_rng(seed)
    inputs, outputs = int(rng.integers(1, 5)), int(rng.integers(1, 3))
    text = random_text(rng, inputs, outputs)
    shape = (1, 2, 2) if inputs == 4 else (inputs,)
    assert same(parse_property(text), parse_property(in_version_2(text, shape))), text


def test_benchmarks_have_one_normal_form() -> None:
    """Properties of the benchmark pack, translated, are the same; so are those that others translated."""
    if not BENCHMARKS.is_dir():
        pytest.skip("benchmark pack ../shared/benchmarks is absent")
    chosen = [next(folder.glob("**/*.vnnlib*"), None) for folder in sorted(BENCHMARKS.iterdir()) if folder.is_dir()]
    chosen = [path for path in chosen if path and path.stat().st_size < 200_000 and "vnnlib2" not in path.parts]
    assert len(chosen) >= 5
    for path in chosen:
        prop = read_property(path.with_suffix("") if path.suffix == ".gz" else path)
        assert same(prop, parse_property(in_version_2(prop.text))), path
    for k in range(1, 11):
        old, new = (BENCHMARKS / folder / f"prop_{k}.vnnlib" for folder in ("acasxu/vnnlib", "vnnlib2/acasxu"))
        assert same(read_property(old), read_property(new)), k


def test_the_version_is_told_by_the_text() -> None:
    """A declared network or the version's line makes a text version 2, behind comments and a byte-order mark, too."""
    body = F.split("\n", 1)[1] + BOX
    for text in (body, "\ufeff" + body, "; a comment\n" + body, "(vnnlib-version 2.0)" + body):
        assert parse_property(text).networks[0].name == "f"
    old = "(vnnlib-version <1.0>)(declare-const X_0 Real)(declare-const Y_0 Real)(assert (= X_0 1))"
    assert parse_property(old).networks == ()


def test_elements_are_numbered_row_by_row_through_all_networks() -> None:
    """The second network's tensors follow the first one's, and scalars have no index."""
    text = """
    (vnnlib-version <2.0>)
    (declare-network f (declare-input A real [2, 2]) (declare-output P real []))
    (declare-network g (isomorphic-to f) (declare-input B float64 [2,2]) (declare-output Q real []))
    (assert (== A[1,0] 0.25)) (assert (<= -1 A[0,0])) (assert (<= -1.0 A[0,1] A[1,1] A[0,0] 1))
    (assert (and (== B[0,0] A[0,0]) (== B[0,1] A[0,1]) (== B[1,0] A[1,0]) (== B[1,1] A[1,1])))
    (assert (or (P < Q) (!= Q 0.5)))
    """
    prop = parse_property(text)
    (case,) = prop.cases
    assert (prop.input_size, prop.output_size) == (8, 2)
    assert case.region.lower[2] == case.region.upper[2] == 0.25
    assert case.region.upper[6] == 0.25, "what equals a bounded input is bounded"
    assert [t.first for d in prop.networks for t in d.tensors] == [0, 0, 4, 1]
    assert len(case.region.equal) == 4
    assert [p.rows.tolist() for p in case.forbidden] == [[[1.0, -1.0]], [[0.0, -1.0]], [[0.0, 1.0]]]
    assert prop.notes == ("declared float64, read as reals",)
    assert prop.name_of(5) == "B[0,1]" and prop.name_of(1, is_input=False) == "Q"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("(vnnlib-version <2.0>)", 1, "no network is declared"),
        ("(vnnlib-version <2.0>)(vnnlib-version <3.0>)", 1, "expected <2.0>"),
        (F + "(declare-network f (declare-input A real [1]) (declare-output B real [1]))", 3, "f is declared twice"),
        (F + "(declare-network g (declare-input X real [1]) (declare-output B real [1]))", 3, "'X' where the name"),
        (F + "(declare-network g (declare-input A real [1]))", 3, "declares no output"),
        (F + "(declare-network g (declare-output A real [1]) (declare-input B real [1]))", 3, "expected inputs first"),
        (F + "(declare-network g (equal-to h) (declare-input A real [1]))", 3, "declared above"),
        (F + "(declare-network g (equal-to f) (declare-input A real [2]) (declare-output B real [2]))", 3, "shapes"),
        (F + "(declare-network g (declare-input A int64 [1]) (declare-output B real [1]))", 3, "type 'int64'"),
        (F + "(declare-network g (declare-input A real [n,2]))", 3, "expected positive numbers"),
        (F + "(declare-network g (declare-input A real [99999,99999]))", 3, "over the limit"),
        (F + "(declare-network g (declare-input A real))", 3, "has no shape"),
        (F + "(declare-network g (declare-input A real [1] initialized))", 3, "'initialized'"),
        (F + '(declare-network g (declare-input A real [1] "in"))', 3, "tied to the node"),
        (F + '(declare-network g (declare-input A real [1]) (declare-hidden H real [1] "h"))', 3, "hidden node H"),
        (F + "(declare-network g (declare-state A real [1]))", 3, "'declare-state'"),
        (F + "(declare-const X_0 Real)", 3, "unknown command 'declare-const'"),
        (F + BOX + "(assert (<= Z[0] 1))", 4, "'Z' is used before it is declared; declared are X, Y"),
        (F + BOX + "(assert (<= X[0] 1))", 4, "expected 2 indices, X is [1,2]"),
        (F + BOX + "(assert (<= X 1))", 4, "expected 2 indices"),
        (F + BOX + "(assert (<= X[0,2] 1))", 4, "index 2 is beyond [1,2]"),
        (F + BOX + "(assert (<= X[0,-1] 1))", 4, "expected 2 indices"),
        (F + BOX + "(assert (<= (* X[0,0] Y[0]) 1))", 4, "polynomial"),
        (F + BOX + "(assert (Y[0] =< 1))", 4, "unknown operator 'Y[0]'"),
        (F + "(assert (<= X[0,0] 1))", 2, "X[0,0], declared here, has no lower bound"),
    ],
)  # fmt: skip
def test_messages_name_the_line(text: str, line: int, words: str) -> None:
    """Whatever is wrong with a file, the error says in which line, and what it is."""
    with pytest.raises(PropertyError) as caught:
        parse_property(text, source="some.vnnlib")
    assert str(caught.value).startswith(f"some.vnnlib, line {line}: ")
    assert words in str(caught.value)


def test_floats_are_refused_where_types_are_strict() -> None:
    """`strict_types` refuses float32, with its line, and takes real."""
    with pytest.raises(PropertyError, match="line 2: X is of type float32"):
        parse_property(F.replace("real", "float32") + BOX, strict_types=True)
    assert parse_property(F + BOX, strict_types=True).notes == ()


@settings(max_examples=500, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_texts_raise_nothing_but_property_errors(seed: int) -> None:
    """A text with pieces cut out, doubled or moved is read, or refused with a line; nothing else happens."""
    rng = np.random.default_rng(seed)
    text = in_version_2(random_text(rng, 2, 1))
    for _ in range(rng.integers(1, 4)):
        a, b, c = np.sort(rng.integers(0, len(text) + 1, 3))
        damaged = (text[:a] + text[b:], text[:b] + text[a:], text[:a] + text[b:c] + text[a:b] + text[c:])
        text = damaged[rng.integers(3)]
    try:
        parse_property(text)
    except PropertyError as error:
        assert ", line " in str(error)
