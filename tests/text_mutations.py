"""Random VNN-LIB texts of both versions, whole and damaged, and what becomes of them: refused, or read right."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

import numpy as np
from vnnlib_formulas import blank, in_version_2, member, random_commands, random_text, satisfied

from hypersplit.instances.errors import PropertyError
from hypersplit.instances.property import Property
from hypersplit.instances.vnnlib.reader import parse_property

TOKEN = re.compile(r'\s+|;[^\n]*|"[^"]*"|\|[^|]*\||[()]|[^\s();"|]+')
NUMBERS = (
    "0", "-0", "1e308", "-1e308", "1e309", "1e-320", "1e-999", "1" + "0" * 400, "0." + "1" * 400, "1e99999999", "nan",
    "-inf", "1e", ".", "1_0", "0x10", "--1", "1.5.2", "٣", "1/2", "(- 1e308)", "(* 1e200 1e200)", "(/ 1 0)", "(/ 0 3)",
)  # fmt: skip
WORDS = (
    "and", "or", "not", "=>", "xor", "ite", "let", "!", "distinct", "+", "-", "*", "/", "<=", ">=", "<", ">", "=", "==",
    "!=", "assert", "declare-const", "declare-fun", "define-fun", "true", "false", "X_0", "Y_0", "X_99", "X_-1", "Y",
    "X[0]", "Y[0]", "X[9]", "X[0,0]", "X[]", "X[-1]", "Real", "Int", "Bool", "(", ")", "((", "))", "|", '"', ";",
    ":named", "check-sat", "exit", "declare-network", "vnnlib-version", "<2.0>", "equal-to", "\x00", "é",
)  # fmt: skip


CHANGES = 8  # of one text


def drawn(seed: int) -> tuple[str, int, int, np.random.Generator]:
    """(text, inputs, outputs, the generator that goes on) of a seed: one of CHANGES seeds is a text as it is drawn."""
    text, inputs, outputs = _base(seed // CHANGES)
    rng = np.random.default_rng((seed, CHANGES))
    return (damaged(text, rng) if seed % CHANGES else text), inputs, outputs, rng


@lru_cache(maxsize=1)
def _base(seed: int) -> tuple[str, int, int]:
    """(text, inputs, outputs)."""
    rng = np.random.default_rng(seed)
    inputs, outputs = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    if rng.random() < 0.5:
        text = random_text(rng, inputs, outputs)
        if rng.random() < 0.5:
            text = in_version_2(text)
    else:
        text = random_commands(rng, inputs, outputs, depth=2 if rng.random() < 0.1 else 1)
    return text, inputs, outputs


def damaged(text: str, rng: np.random.Generator) -> str:
    """The text with one to three changes."""
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(8))
        if kind == 0:
            text = text[: int(rng.integers(len(text) + 1))]
        elif kind == 1:
            a, b, c = np.sort(rng.integers(0, len(text) + 1, 3))
            pieces = (text[:a] + text[b:], text[:b] + text[a:], text[:a] + text[b:c] + text[a:b] + text[c:])
            text = pieces[int(rng.integers(3))]
        elif kind == 2:
            text = nested(text, rng)
        else:
            text = _other_token(text, rng, kind)
    return text


def _other_token(text: str, rng: np.random.Generator, kind: int) -> str:
    """One token left out, doubled, or another one in its place."""
    tokens = TOKEN.findall(text) or [text]
    place = int(rng.integers(len(tokens)))
    if kind == 3:
        del tokens[place]
    elif kind == 4:
        tokens.insert(place, tokens[int(rng.integers(len(tokens)))])
    else:
        numbers = [i for i, t in enumerate(tokens) if re.fullmatch(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", t)]
        if kind == 5 and numbers:
            tokens[int(rng.choice(numbers))] = NUMBERS[int(rng.integers(len(NUMBERS)))]
        else:
            tokens[place] = WORDS[int(rng.integers(len(WORDS)))]
    return "".join(tokens)


def nested(text: str, rng: np.random.Generator) -> str:
    """The text with one more assertion, of many levels."""
    depth = int(rng.choice([3, 30, 300, 3000], p=[0.6, 0.3, 0.08, 0.02]))
    name = "Y[0]" if "declare-network" in text else "Y_0"
    opened = str(rng.choice(["(and ", "(or ", "(not ", "(and true ", "(or false ", "(=> true "]))
    core = f"(<= {name} 1)" if rng.random() < 0.7 else f"(<= {'(+ 0 ' * depth}{name}{')' * depth} 1)"
    return f"{text}{blank(rng)}(assert {opened * depth}{core}{')' * depth})"


def outcome(text: str, inputs: int, outputs: int, rng: np.random.Generator) -> str:
    """What becomes of a text; raises AssertionError where its normal form means something else than it says."""
    try:
        prop = parse_property(text, inputs, outputs)
    except PropertyError as error:
        assert "\n" not in str(error), "a message of several lines"
        return "refused"
    return "the same" if _held(prop, text, rng) else "read alone"


def _held(prop: Property, text: str, rng: np.random.Generator) -> bool:
    """Whether the slow evaluator, where it understands the text, was asked at random points and said the same."""
    said = in_version_1(text)
    for _ in range(4):
        x = [Fraction(int(v), 4) for v in rng.integers(-9, 10, prop.input_size)]
        y = [Fraction(int(v), 4) for v in rng.integers(-9, 10, prop.output_size)]
        try:
            expected = satisfied(said, x, y)
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
            return False  # what the evaluator has no word for
        if any(case.region.equal for case in prop.cases):
            return False  # literals are what their digits say there
        assert member(prop, x, y) == expected, f"at {x}, {y}: {expected} is right"
    return True


def in_version_1(text: str) -> str:
    """Elements of vectors X and Y by version 1's names; declarations stay, which the evaluator does not read."""
    if "declare-network" not in text:
        return text
    named = re.sub(r"\b([XY])\s*\[\s*([0-9]+)\s*\]", lambda m: f"{m[1]}_{int(m[2])}", text)
    return re.sub(r"\(==(?=[\s(])", "(=", re.sub(r"\(!=(?=[\s(])", "(distinct", named))
