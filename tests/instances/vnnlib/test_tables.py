"""Tables are read as the ordinary reader reads their texts, to the last bit and with the same errors."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hypersplit.instances.errors import PropertyError
from hypersplit.instances.property import Property
from hypersplit.instances.vnnlib import tables
from hypersplit.instances.vnnlib.formula import Formula
from hypersplit.instances.vnnlib.parser import parse
from hypersplit.instances.vnnlib.reader import parse_property

DECLARED = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0", "Y_1"))
LITERALS = ("0", "-0.0", "1e-3", ".5", "+2.", "-1.25E+1", "0.1", "3")
SPOILT = "()XY_01.e-+; \n<>=and"


def random_text(rng: random.Random) -> str:
    """A disjunction of conjunctions of a few shapes, with other assertions around it now and then."""
    shapes = [random_shape(rng) for _ in range(rng.randint(1, 3))]
    gap = rng.choice(["\n  ", " ", ""])
    disjuncts = [filled(rng, rng.choice(shapes)) for _ in range(rng.randint(2, 8))]
    around = ["(assert (>= X_0 -9))", "(assert (<= X_0 9))", "(assert (>= X_1 -9.5))", "(assert (<= X_1 9))"]
    around += ["(assert (<= Y_1 4.5))"] * (rng.random() < 0.2)
    around += ["(assert (or (<= Y_0 1) (<= X_1 2)))"] * (rng.random() < 0.1)
    parts = [*around, f"(assert (or {gap.join(disjuncts)}))", "(check-sat)"][rng.random() < 0.1 :]
    return DECLARED + "\n".join(parts)


def random_shape(rng: random.Random) -> list[str]:
    """Comparisons, `#` for a literal."""
    box = [f"({'<=' if upper else '>='} X_{i} #)" for i in range(2) for upper in range(2) if rng.random() < 0.8]
    relations = ("<=", ">=", "<", ">")
    more = [f"({rng.choice(relations)} {rng.choice(['X_0', 'Y_0', 'Y_1'])} #)" for _ in range(rng.randint(0, 2))]
    pairs = [f"({rng.choice(relations)} Y_0 {rng.choice(['Y_1', 'Y_0', 'X_0'])})"] * (rng.random() < 0.4)
    pairs += ["(<= X_0 X_1)"] * (rng.random() < 0.1)
    shape = box + more + pairs
    rng.shuffle(shape)
    return shape or ["(<= Y_0 #)"]


def filled(rng: random.Random, shape: list[str]) -> str:
    """A conjunction of a shape with numbers; lower bounds are mostly below upper ones."""
    low = [atom.replace("#", rng.choice(LITERALS) if ">" not in atom else str(-rng.randint(0, 9))) for atom in shape]
    return f"(and {' '.join(low)})"


def spoilt(rng: random.Random, text: str) -> str:
    """The text with a character changed, left out or put in."""
    at = rng.randrange(len(DECLARED), len(text))
    return text[:at] + rng.choice(SPOILT) * rng.randint(0, 1) + text[at + rng.randint(0, 1) :]


def said(formula: Formula) -> object:
    """All of a formula, with the types of its numbers and the signs of its zeros."""
    formula.write_out()
    return formula.bounds, [[[(a, repr(a.constant)) for a in c] for c in part] for part in formula.assertions]


def normal_form(prop: Property) -> object:
    """All of a property's cases as bytes."""
    cases = [
        (*(part.tobytes() for part in (r.lower, r.upper, r.rows, r.offsets, r.strict_lower, r.strict_upper)),
         [(p.rows.shape, p.rows.tobytes(), p.rhs.tobytes(), p.strict.tobytes()) for p in case.forbidden])
        for case in prop.cases for r in [case.region]
    ]  # fmt: skip
    return cases, prop.joint, prop.contradiction, prop.notes


def read(text: str) -> tuple[object, ...]:
    """What becomes of a text; the messages of its errors."""
    try:
        return said(parse(text, tables=True)), normal_form(parse_property(text))
    except PropertyError as error:
        return (str(error),)


@pytest.mark.parametrize("seed", range(2))
def test_tables_are_what_the_ordinary_reader_reads(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Over random texts, and the same spoilt: formulas, normal forms and messages."""
    print("seed", seed)
    rng = random.Random(seed)
    texts = [random_text(rng) for _ in range(40)]
    texts += [spoilt(rng, text) for text in texts]
    monkeypatch.setattr(tables, "LEAST", 10**9)
    wanted = [read(text) for text in texts]
    monkeypatch.setattr(tables, "LEAST", 0)
    found = [read(text) for text in texts]
    for text, expected, got in zip(texts, wanted, found, strict=True):
        assert got == expected, text


def test_a_regular_text_makes_a_table() -> None:
    """A long disjunction of two shapes: as many disjuncts, and as many numbers each."""
    rng = np.random.default_rng(0)
    lines = [f"(and (>= X_0 {a!r}) (<= X_0 {a + 1!r}) ({'<=' if k % 2 else '>='} Y_0 Y_1))"
             for k, a in enumerate(rng.uniform(-1, 1, 200).tolist())]  # fmt: skip
    formula = parse(DECLARED + f"(assert (or {' '.join(lines)}))", tables=True)
    ((before, table),) = formula.tables
    assert (before, table.count, formula.assertions) == (0, 200, [])
    assert sorted(len(shape.disjuncts) for shape in table.shapes) in ([100, 100], [1, 99, 100])
    assert all(shape.numbers.shape == (len(shape.disjuncts), 2) for shape in table.shapes)


@pytest.mark.parametrize("spelled", ["1_0", "nan", "inf", "1e999", "0x1", "1.", "1.e5"])
def test_literals_are_those_of_the_grammar(monkeypatch: pytest.MonkeyPatch, spelled: str) -> None:
    """What Python takes for a number and VNN-LIB does not is refused with its line, as everywhere."""
    text = DECLARED + f"(assert (or (and (<= X_0 1)) (and (<= X_0 {spelled}))))\n(assert (>= X_0 0))"
    text += "(assert (>= X_1 0)) (assert (<= X_1 1))"
    outcomes = []
    for least in (0, 10**9):
        monkeypatch.setattr(tables, "LEAST", least)
        outcomes.append(read(text))
    assert outcomes[0] == outcomes[1]
    assert (len(outcomes[0]) == 2) == (spelled in ("1.", "1.e5"))


def test_disjuncts_of_which_no_comparison_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disjunct that is true, beside an assertion on outputs, with which no table is plain: as the ordinary reader."""
    text = DECLARED + "(assert (>= X_0 0))(assert (<= X_0 1))(assert (>= X_1 0))(assert (<= X_1 1))"
    text += "(assert (<= Y_1 4.5))(assert (or (and (<= Y_0 Y_0)) (and (<= Y_0 1)) (and (<= Y_0 Y_0))))"
    outcomes = []
    for least in (0, 10**9):
        monkeypatch.setattr(tables, "LEAST", least)
        outcomes.append(read(text))
    assert outcomes[0] == outcomes[1]
    assert len(parse_property(text).cases[0].forbidden) == 2
