"""Reading VNN-LIB 1: meaning against an independent reader, the slips of other parsers, and every message."""

from __future__ import annotations

import csv
import gzip
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vnnlib_formulas import member, random_commands, random_text, satisfied

from hypersplit.instances.errors import InputError, PropertyError
from hypersplit.instances.vnnlib import formula as vnnlib_formula
from hypersplit.instances.vnnlib.reader import parse_property, read_property

BENCHMARKS = Path(__file__).resolve().parents[3] / ".." / "shared" / "benchmarks"
ONE = "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n"
TWO = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)\n"
BOX = "(assert (<= X_0 1))\n(assert (>= X_0 -1))\n"
BOX2 = BOX + "(assert (<= X_1 1))(assert (>= X_1 -1))\n"


@pytest.fixture
def pack() -> Path:
    if not BENCHMARKS.is_dir():
        pytest.skip("benchmark pack ../shared/benchmarks is absent")
    return BENCHMARKS


@settings(max_examples=400, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_normal_form_means_what_the_text_means(seed: int) -> None:
    """Random nests of and, or and linear terms hold at the same rational points as their normal form."""
    rng = np.random.default_rng(seed)
    inputs, outputs = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    text = random_text(rng, inputs, outputs, mixed=bool(rng.random() < 0.5))
    _same_meaning(text, inputs, outputs, rng)


@settings(max_examples=400, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_all_of_logic_means_what_it_says(seed: int) -> None:
    """Negations, implications, choices, lets, chains and named terms hold at the same points as their normal form."""
    rng = np.random.default_rng(seed)
    inputs, outputs = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    _same_meaning(random_commands(rng, inputs, outputs), inputs, outputs, rng)


def _same_meaning(text: str, inputs: int, outputs: int, rng: np.random.Generator) -> None:
    prop = parse_property(text, inputs, outputs)
    for _ in range(25):
        x = [Fraction(int(v), 4) for v in rng.integers(-9, 10, inputs)]
        y = [Fraction(int(v), 4) for v in rng.integers(-9, 10, outputs)]
        assert satisfied(text, x, y) == member(prop, x, y), (text, x, y)


def test_constraints_behind_an_or_are_conjoined() -> None:
    """An assertion after an `or` narrows every disjunct and is no disjunct of its own."""
    text = ONE + BOX + "(assert (or (<= Y_0 1) (>= Y_0 5)))(assert (<= X_0 0.5))(assert (>= Y_0 0))"
    (case,) = parse_property(text).cases
    assert case.region.upper == 0.5
    assert [p.rows.ravel().tolist() for p in case.forbidden] == [[1.0, -1.0], [-1.0, -1.0]]
    assert [p.rhs.tolist() for p in case.forbidden] == [[1.0, 0.0], [-5.0, 0.0]]


def test_boxes_do_not_leak_between_disjuncts() -> None:
    """Each disjunct keeps its own box and its own outputs."""
    text = ONE + "(assert (or (and (>= X_0 0)(<= X_0 1)(>= Y_0 7)) (and (>= X_0 2)(<= X_0 3)(<= Y_0 4))))"
    first, second = parse_property(text).cases
    assert (first.region.lower, first.region.upper) == (0.0, 1.0)
    assert (second.region.lower, second.region.upper) == (2.0, 3.0)
    assert (first.forbidden[0].rows, first.forbidden[0].rhs) == (-1.0, -7.0)
    assert (second.forbidden[0].rows, second.forbidden[0].rhs) == (1.0, 4.0)


def test_equal_input_sets_are_one_case() -> None:
    """Disjuncts that describe the same input set are searched together, and doubles of them once."""
    same = "(and (>= X_0 -1) (<= X_0 0.5) (<= Y_0 {}))"
    text = ONE + BOX + f"(assert (or {same.format(1)} {same.format(2)} {same.format(1)} (>= X_0 0.75)))"
    first, second = parse_property(text).cases
    assert [p.rhs.tolist() for p in first.forbidden] == [[1.0], [2.0]]
    assert second.forbidden[0].rows.shape == (0, 1)


def test_relations_among_inputs_are_half_spaces() -> None:
    """X_0 + 2 X_1 <= 1 becomes a row of the input set, not of the outputs."""
    prop = parse_property(TWO + BOX2 + "(assert (<= (+ X_0 (* 2 X_1)) 1))(assert (<= Y_0 Y_1))")
    (case,) = prop.cases
    assert not prop.joint
    assert (case.region.rows.tolist(), case.region.offsets.tolist()) == ([[-1.0, -2.0]], [1.0])
    assert case.forbidden[0].rows.tolist() == [[1.0, -1.0]]


def test_relations_of_inputs_and_outputs_are_joint_rows() -> None:
    """Y_0 >= X_1 makes all polyhedra run over (y, x); relations of inputs alone stay in the region."""
    prop = parse_property(TWO + BOX2 + "(assert (>= Y_0 X_1))(assert (<= Y_1 3))(assert (<= X_0 X_1))")
    (case,) = prop.cases
    assert prop.joint
    assert sorted(case.forbidden[0].rows.tolist()) == [[-1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]]
    assert case.region.rows.tolist() == [[-1.0, 1.0]]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("-1", -1.0), ("1e-5", 1e-5), ("+.5", 0.5), ("2.", 2.0), ("1E+2", 100.0),
        ("(- 1)", -1.0), ("(/ 1 4)", 0.25),
        ("(- (/ 3 (- 4)))", 0.75), ("(* 2 (+ 1 0.5) 2)", 6.0), ("0.1", 0.1), ("(- 5 1 1)", 3.0), ("-0", 0.0),
    ],
)  # fmt: skip
def test_constants_in_any_notation(written: str, value: float) -> None:
    """A constant is the float64 nearest to its decimal text, signs and quotients included."""
    (case,) = parse_property(ONE + f"(assert (= X_0 {written}))(assert (<= {written} Y_0))").cases
    assert (case.region.lower, case.region.upper) == (value, value)
    assert (case.forbidden[0].rows, case.forbidden[0].rhs) == (-1.0, -value)


def test_divided_bounds_are_rounded_outward() -> None:
    """A bound that float64 cannot hold never shrinks the box, and grows it by one unit at most."""
    (case,) = parse_property(ONE + "(assert (<= (* 3 X_0) 1))(assert (>= X_0 (/ 1 10 3)))").cases
    low, high = float(case.region.lower[0]), float(case.region.upper[0])
    assert Fraction(np.nextafter(high, 0)) < Fraction(1, 3) <= Fraction(high)
    assert Fraction(low) <= Fraction(1, 30) < Fraction(np.nextafter(low, 1))


def test_rows_with_quotients_are_scaled_to_be_exact() -> None:
    """Thirds in an output row are multiplied away, so that the row says exactly what the text says."""
    prop = parse_property(TWO + BOX2 + "(assert (<= (+ (/ Y_0 3) (* (/ 1 7) Y_1)) (/ 1 2)))")
    polyhedron = prop.cases[0].forbidden[0]
    assert (polyhedron.rows.tolist(), polyhedron.rhs.tolist()) == ([[14.0, 6.0]], [21.0])


def test_right_hand_sides_are_rounded_upward() -> None:
    """Where the sum of two literals needs more than 53 bits, the forbidden set grows rather than shrinks."""
    polyhedron = parse_property(ONE + BOX + "(assert (<= (+ Y_0 1e-30) 1))").cases[0].forbidden[0]
    assert (polyhedron.rows, polyhedron.rhs) == (1.0, 1.0)


def test_empty_disjuncts_are_dropped() -> None:
    """A disjunct with crossed bounds or a false constant has no solutions and leaves no case."""
    text = ONE + BOX + "(assert (or (and (>= X_0 0.5) (<= X_0 0.25)) (and (<= 1 0) (>= X_0 0)) (<= X_0 0.5)))"
    (case,) = parse_property(text).cases
    assert (case.region.lower, case.region.upper) == (-1.0, 0.5)


@pytest.mark.parametrize(
    "false", ["(<= 1 0)", "(> Y_0 (+ Y_0 1))", "false", "(and (<= Y_0 1) (or (= 1 2) false))"]
)
def test_false_outputs_hold_vacuously(false: str) -> None:
    """A property whose outputs are false whatever they are forbids nothing: no cases."""
    assert parse_property(ONE + BOX + f"(assert {false})").cases == ()


@pytest.mark.parametrize(
    "true", ["", "(assert (<= 1 2))", "(assert (>= Y_0 Y_0))", "(assert (or true (<= Y_0 1)))"]
)
def test_true_outputs_forbid_everything(true: str) -> None:
    """Without a condition on the outputs every output is forbidden: a polyhedron without rows comes first."""
    (case,) = parse_property(ONE + BOX + true).cases
    assert case.forbidden[0].rows.shape == (0, 1) and case.forbidden[0].rhs.shape == (0,)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "no input"),
        ("; nothing\n", 1, "no input"),
        ("(declare-const X_0 Real)", 1, "no output"),
        (ONE + "(declare-const X_0 Real)", 3, "declared twice"),
        (ONE + "\n(declare-const X_2 Real)", 4, "X_1 is not"),
        (ONE + "(declare-const X_1 Int)", 3, "expected (declare-const"),
        (ONE + "(declare-const Z_0 Real)", 3, "'Z_0'"),
        (ONE + "(declare-const X_01 Real)", 3, "'X_01'"),
        (ONE + "(push 1)", 3, "unknown command 'push'"),
        (ONE + BOX + "(check-sat)\n(assert (<= Y_0 1))", 6, "assert behind check-sat"),
        (ONE + "(declare-fun X_1 (Real) Real)", 3, "cannot read the declaration of 'X_1'"),
        (ONE + "(declare-fun X_0 () Real)", 3, "declared twice"),
        (ONE + "(define-fun f ((a Real)) Real a)", 3, "has arguments"),
        (ONE + "(define-fun f () Int 1)", 3, "of sort 'Int'"),
        (ONE + "(define-fun f () Bool 1)", 3, "declared Bool, its value is not"),
        (ONE + "(define-fun X_0 () Real 1)", 3, "'X_0' is declared twice"),
        (ONE + "(define-fun f () Real 1)(define-fun f () Real 1)", 3, "'f' is declared twice"),
        (ONE + BOX + "(assert (let ((a 1)) (<= b a)))", 5, "'b' is no number"),
        (ONE + BOX + "(assert (let ((a 1)) (<= Y_0 a) (<= Y_0 a)))", 5, "'let' needs one body"),
        (ONE + BOX + "(assert (let (a 1) (<= Y_0 a)))", 5, "among the bindings of a let"),
        (ONE + BOX + "(assert (let ((a 1 2)) (<= Y_0 a)))", 5, "the end of a binding"),
        (ONE + BOX + "(assert (! (<= Y_0 1) named))", 5, "expected an attribute"),
        (ONE + BOX + "(assert (! (<= Y_0 1) :named 7))", 5, "'7' where a name"),
        (ONE + BOX + "(assert (ite (<= Y_0 1) 1 (<= Y_0 2)))", 5, "'ite' needs a formula and two terms"),
        (ONE + BOX + "(assert (<= (* Y_0 (ite (<= X_0 0) 1 X_0)) 1))", 5, "linear"),
        (ONE + BOX + "(assert (not (<= Y_0 1) (<= Y_0 2)))", 5, "'not' was given 2 formulas"),
        (ONE + BOX + "(assert (=> (<= Y_0 1)))", 5, "'=>' was given 1 formula"),
        (ONE + BOX + "(assert (distinct (<= Y_0 1) true false))", 5, "two formulas (or terms)"),
        (ONE + BOX + "(assert (= Y_0 true))", 5, "'=' needs formulas"),
        (ONE + BOX + "(assert (forall ((x Real)) (<= x 1)))", 5, "unknown operator 'forall'"),
        (ONE + BOX + "(assert (<= Y_1 0))", 5, "Y_1 is used before it is declared"),
        (ONE + BOX + "(assert (<= (+ Y_0 X_7) 0))", 5, "X_7 is used before"),
        (ONE + BOX + "(assert (<= input 0))", 5, "'input' is no number"),
        (ONE + BOX + "(assert (<= Y_0 1.2.3))", 5, "'1.2.3' is no number"),
        (ONE + BOX + "(assert (<= Y_0 nan))", 5, "nan"),
        (ONE + BOX + "(assert (<= Y_0 -inf))", 5, "finite"),
        (ONE + BOX + "(assert (<= Y_0 1e999))", 5, "finite"),
        (ONE + BOX + "(assert (<= Y_0 1e99999999999999))", 5, "finite"),
        (ONE + BOX + "(assert (<= (* Y_0 X_0) 1))", 5, "linear"),
        (ONE + BOX + "(assert (<= (/ 1 X_0) 1))", 5, "linear"),
        (ONE + BOX + "(assert (<= (/ X_0 0) 1))", 5, "zero"),
        (ONE + BOX + "(assert (<= Y_0))", 5, "two terms"),
        (ONE + BOX + "(assert (<= Y_0 (* 2)))", 5, "'*'"),
        (ONE + BOX + "(assert (<= Y_0 (-)))", 5, "'-'"),
        (ONE + BOX + "(assert (and))", 5, "'and'"),
        (ONE + BOX + "(assert (and Y_0 (<= Y_0 1)))", 5, "'and'"),
        (ONE + BOX + "(assert (<= (<= Y_0 1) 1))", 5, "'<='"),
        (ONE + BOX + "(assert ((<= Y_0 1)))", 5, "unknown operator '('"),
        (ONE + BOX + "(assert Y_0)", 5, "a term where a formula"),
        (ONE + BOX + "(assert )", 5, "')'"),
        (ONE + BOX + "(assert (<= Y_0 1) (<= Y_0 2))", 5, "expected ')'"),
        (ONE + BOX + "(assert (or (<= Y_0 1)\n(<= Y_0 2))\n", 6, "a ')' is missing"),
        (ONE + BOX + "(assert (<= Y_0 1)))", 5, "')' where a command"),
        (ONE + BOX + "(assert (<= Y_0 1))\nthe end", 6, "'the' where a command"),
        (ONE + "(assert (<= X_0 1))", 1, "X_0, declared here, has no lower bound"),
        (ONE + "(assert (or (<= X_0 1) (= X_0 2)))", 1, "no lower bound"),
        (ONE + "(assert (>= X_0 1))(assert (<= Y_0 1))", 1, "add (assert (<= X_0 ...))"),
        (ONE + BOX + "(assert (<= X_0 (* 1e308 10)))", 5, "beyond float64"),
        (TWO + BOX2 + "(assert (<= (+ Y_0 (* Y_1 (+ 1 1e-30))) 1))", 5, "cannot hold exactly"),
    ],
)  # fmt: skip
def test_messages_name_the_line(text: str, line: int, words: str) -> None:
    """Whatever is wrong with a file, the error says in which line, and what it is."""
    with pytest.raises(PropertyError) as caught:
        parse_property(text, source="some.vnnlib")
    assert str(caught.value).startswith(f"some.vnnlib, line {line}: ")
    assert words in str(caught.value)


@settings(max_examples=300, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_texts_raise_nothing_but_property_errors(seed: int) -> None:
    """A text with pieces cut out, doubled or moved is read, or refused with a line; nothing else happens."""
    rng = np.random.default_rng(seed)
    text = random_text(rng, 2, 1) if rng.random() < 0.5 else random_commands(rng, 2, 1, depth=1)
    for _ in range(rng.integers(1, 4)):
        a, b, c = np.sort(rng.integers(0, len(text) + 1, 3))
        damaged = (text[:a] + text[b:], text[:b] + text[a:], text[:a] + text[b:c] + text[a:b] + text[c:])
        text = damaged[rng.integers(3)]
    try:
        parse_property(text)
    except PropertyError as error:
        assert ", line " in str(error)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (ONE + "(assert (<= X_0 1))\n(assert (>= X_0 2))", 4, "2.0 (line 4) above the upper bound 1.0 (line"),
        (ONE + BOX + "\n(assert (or (>= X_0 2) (>= X_0 3)))", 6, "2.0 (line 6) above the upper"),
        (ONE + BOX + "(assert (> X_0 1))", 5, "at the upper bound 1.0 (line 3), one of them strict"),
    ],
)  # fmt: skip
def test_contradictory_bounds_leave_no_case(text: str, line: int, words: str) -> None:
    """Bounds that no input satisfies are no error: there is no case, and the contradiction is told with its lines."""
    prop = parse_property(text, source="some.vnnlib")
    assert prop.cases == ()
    assert prop.contradiction.startswith(f"some.vnnlib, line {line}: ") and words in prop.contradiction


@pytest.mark.parametrize("top", ["0", "(* 2 0)"])
@pytest.mark.parametrize("least", ["(/ 1 (* 1e200 1e200))", "(* 1e-200 1e-200)"])
def test_what_is_too_small_for_a_float64_is_not_zero(least: str, top: str) -> None:
    """X_0 >= 1e-400 contradicts X_0 <= 0, though the float64 next to it is 0; two bounds of 1e-305 are one number."""
    case = "(assert (or (and (>= X_0 {}) (<= X_0 {})) (<= Y_0 -7)))"
    asked = ((least, top), ("(* 1e-200 0)", top), ("(* 1e-5 1e-300)", "(* 1e-4 1e-301)"))
    sets = [parse_property(ONE + "(assert (<= -2 X_0 2))" + case.format(*ends)).cases for ends in asked]
    assert [len(cases) for cases in sets] == [1, 2, 2]


@pytest.mark.parametrize("own", ["(assert (<= X_1 0))\n", ""])
def test_contradictions_that_follow_from_comparisons_are_told(own: str) -> None:
    """A bound that follows from another input's contradicts a literal one, or another that follows."""
    declared = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)\n"
    text = f"{declared}(assert (<= 1 X_0 2))\n{own}(assert (>= X_1 X_0))(assert (<= (* 4 X_1) X_0))(assert (<= Y_0 0))"
    prop = parse_property(text, source="some.vnnlib")
    assert not prop.cases
    assert "line 3: what X_1 is compared with" in prop.contradiction


def test_negations_are_pushed_down_before_anything_is_multiplied() -> None:
    """The negation of a conjunction of thirty disjunctions is thirty conjunctions of strict rows."""
    both = " ".join(f"(or (<= Y_0 {i}) (>= Y_0 {i + 40}))" for i in range(30))
    (case,) = parse_property(ONE + BOX + f"(assert (not (and {both})))").cases
    assert len(case.forbidden) == 30
    assert all(len(p.rows) == 2 and p.strict.all() for p in case.forbidden)


def test_choices_of_too_many_values_are_refused() -> None:
    """A sum of thirty terms that depend on conditions has 2^30 values; the error says so."""
    terms = " ".join(f"(ite (<= Y_0 {i}) 1 2)" for i in range(30))
    with pytest.raises(PropertyError, match="line 5: 'ite' gives these terms more than"):
        parse_property(ONE + BOX + f"(assert (<= (+ {terms}) 3))")


def test_byte_order_marks_are_skipped(tmp_path: Path) -> None:
    """A mark at the head of a text or a file says nothing."""
    assert parse_property("\ufeff" + ONE + BOX).input_size == 1
    (tmp_path / "p.vnnlib").write_bytes(b"\xef\xbb\xbf" + (ONE + BOX).encode())
    (tmp_path / "q.vnnlib").write_bytes((ONE + BOX).encode("utf-16"))
    assert [read_property(tmp_path / name).input_size for name in ("p.vnnlib", "q.vnnlib")] == [1, 1]


def test_sizes_must_fit_the_network() -> None:
    """A property for another network is refused with both sizes in the message."""
    with pytest.raises(PropertyError, match="1 inputs and 1 outputs, the network has 5 inputs and 2 outputs"):
        parse_property(ONE + BOX, 5, 2)
    assert parse_property(ONE + BOX, 1, None).input_size == 1


def test_deep_nesting_is_read() -> None:
    """Ten thousand levels of parentheses are no more than ten thousand levels."""
    depth = 10_000
    deep = "(and " * depth + f"(<= {'(- ' * depth}Y_0{')' * depth} 1)" + ")" * depth
    (case,) = parse_property(ONE + BOX + f"(assert {deep})").cases
    assert (case.forbidden[0].rows, case.forbidden[0].rhs) == (1.0, 1.0)


def test_blanks_and_comments_may_stand_anywhere() -> None:
    """Between any two tokens there may be comments and line ends, and around parentheses nothing at all."""
    text = "(;a\ndeclare-const;b\nX_0;c\nReal;d\n)(declare-const Y_0\tReal)(assert(<= ;(\nX_0 1))"
    text += "\r\n;;)\r\n( assert(and(>= X_0 0)(>=(+ Y_0 X_0);\n(- 2))))  ; the end"
    prop = parse_property(text)
    assert prop.joint and prop.cases[0].region.upper == 1.0
    assert prop.cases[0].forbidden[0].rows.tolist() == [[-1.0, -1.0]]


def test_blow_up_is_refused() -> None:
    """Forty `or`s of three are 3^40 conjunctions; the error says so instead of filling the memory."""
    clause = "(assert (or (<= Y_0 {0}) (>= Y_0 {1}) (= Y_0 0.5)))\n"
    text = ONE + BOX + "".join(clause.format(i, i + 1) for i in range(40))
    with pytest.raises(PropertyError, match="over the limit of 500000"):
        parse_property(text)


def test_cases_times_outputs_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many input disjuncts times many output disjuncts count towards the same limit."""
    monkeypatch.setattr("hypersplit.instances.vnnlib.normal_form.MAX_CONJUNCTIONS", 5)
    assert vnnlib_formula.MAX_CONJUNCTIONS == 500_000
    text = ONE + BOX + "(assert (or (<= X_0 0) (>= X_0 0.5)))(assert (or (<= Y_0 0) (>= Y_0 1) (= Y_0 0.5)))"
    with pytest.raises(PropertyError, match="more than 5 forbidden polyhedra"):
        parse_property(text)


def test_files_are_found_packed_or_plain(tmp_path: Path) -> None:
    """`p.vnnlib` is read from `p.vnnlib.gz` where only that exists; a missing file is named."""
    path = tmp_path / "p.vnnlib"
    with pytest.raises(InputError, match=r"p\.vnnlib"):
        read_property(path)
    (tmp_path / "p.vnnlib.gz").write_bytes(gzip.compress((ONE + BOX).encode()))
    assert read_property(path).source == str(path)
    path.write_text(ONE + BOX.replace("1", "2"))
    assert read_property(path).cases[0].region.upper == 2.0


def test_binary_files_are_refused(tmp_path: Path) -> None:
    """A file that is no text is an input error that names it."""
    path = tmp_path / "net.vnnlib"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match=r"net\.vnnlib"):
        read_property(path)


def test_one_benchmark_of_each_family_is_read(pack: Path) -> None:
    """The first property of every family has one case (acasxu prop_6: two), and forbidden rows."""
    families = 0
    for listing in sorted(pack.glob("*/instances.csv")):
        name = next(csv.reader(listing.open()))[1]
        prop = read_property(listing.parent / name)
        assert len(prop.cases) == 1 and not prop.joint, name
        assert all(len(p.rows) for p in prop.cases[0].forbidden), name
        families += 1
    assert families >= 15
    assert len(read_property(pack / "acasxu" / "vnnlib" / "prop_6.vnnlib").cases) == 2


def test_known_witnesses_lie_in_their_regions(pack: Path) -> None:
    """Every known counterexample with at most 100 inputs lies in some case's region, up to 1e-6."""
    witnesses = json.loads(gzip.decompress((pack / "witnesses.json.gz").read_bytes()))
    chosen = {key: np.array(x) for key, x in witnesses.items() if len(x) <= 100}
    assert len(chosen) > 100
    for key, x in chosen.items():
        family, _, name = key.split("|")
        regions = [case.region for case in read_property(pack / family / name, len(x)).cases]
        assert any(np.all(x >= r.lower - 1e-6) and np.all(x <= r.upper + 1e-6) for r in regions), key
