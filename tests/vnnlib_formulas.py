"""Random VNN-LIB texts, and a slow recursive evaluator that shares nothing with the reader under test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from operator import mul, truediv

import numpy as np

from hypersplit.instances.property import Property

CONSTANTS = (
    "0",
    "1",
    "-1",
    "0.5",
    "-.25",
    "+0.75",
    "1.5e0",
    "25e-2",
    "-2.",
    "(- 1)",
    "(/ 1 3)",
    "(- (/ 1 2))",
    "(+ 1 0.25)",
)
BLANKS = (" ", "  ", "\n", "\t", " ; a comment (or )\n")


def random_text(rng: np.random.Generator, inputs: int, outputs: int, mixed: bool = True) -> str:
    """Declarations, a box around all inputs, and up to four random assertions."""
    names = [f"X_{i}" for i in range(inputs)] + [f"Y_{i}" for i in range(outputs)]
    parts = [f"(declare-const {name} Real)" for name in names]
    parts += [f"(assert (>= X_{i} -2))(assert (<= X_{i} {rng.integers(0, 3)}))" for i in range(inputs)]
    for _ in range(rng.integers(0, 5)):
        parts.append(f"(assert{blank(rng)}{formula(rng, names, int(rng.integers(0, 4)), mixed)}{blank(rng)})")
    return blank(rng).join(parts)


def blank(rng: np.random.Generator) -> str:
    return str(rng.choice(BLANKS))


def formula(rng: np.random.Generator, names: list[str], depth: int, mixed: bool) -> str:
    """A random nest of and, or and comparisons. mixed: whether one comparison may have inputs and outputs."""
    if depth and rng.random() < 0.8:
        parts = [formula(rng, names, depth - 1, mixed) for _ in range(rng.integers(1, 4))]
        return f"({rng.choice(['and', 'or'])} {rng.choice(['', ' ']).join(parts)})"
    if not mixed:
        names = [name for name in names if name[0] == rng.choice(["X", "Y"])] or names[:1]
    compare = rng.choice(["<=", ">=", "<=", ">=", "<", ">", "="])
    kind = rng.random()
    if kind < 0.5:
        return f"({compare} {rng.choice(names)} {rng.choice(CONSTANTS)})"
    if kind < 0.7:
        return f"({compare} {rng.choice(names)}{blank(rng)}{rng.choice(names)})"
    return f"({compare} {term(rng, names, 2)} {term(rng, names, 2)})"


def term(rng: np.random.Generator, names: list[str], depth: int) -> str:
    """A random linear term."""
    if not depth or rng.random() < 0.3:
        return str(rng.choice(names if rng.random() < 0.7 else CONSTANTS))
    kind = rng.choice(["+", "-", "*", "/", "negate"])
    if kind == "*":
        factors = [str(rng.choice(CONSTANTS)), term(rng, names, depth - 1)]
        return f"(* {factors[0]} {factors[1]})" if rng.random() < 0.5 else f"(* {factors[1]} {factors[0]})"
    if kind == "/":
        return f"(/ {term(rng, names, depth - 1)} {rng.choice([c for c in CONSTANTS if c != '0'])})"
    if kind == "negate":
        return f"(- {term(rng, names, depth - 1)})"
    return f"({kind} {' '.join(term(rng, names, depth - 1) for _ in range(rng.integers(2, 4)))})"


def logic(rng: np.random.Generator, names: list[str], depth: int) -> str:
    """A random formula of all connectives that are read: negations, implications, choices, lets, named terms."""
    if not depth or rng.random() < 0.2:
        return formula(rng, names, 0, mixed=True)
    kind = str(rng.choice(["not", "=>", "xor", "=", "distinct", "ite", "let", "term-let", "!", "chain", "if", "and"]))
    below = [logic(rng, names, depth - 1) for _ in range(3)]
    terms = [term(rng, names, 1) for _ in range(3)]
    match kind:
        case "not":
            return f"(not {below[0]})"
        case "=" | "distinct":
            return f"({kind} {below[0]} {below[1]})"
        case "ite":
            return f"(ite {' '.join(below)})"
        case "let":
            return f"(let ((p {below[0]}) (q {below[1]})) (let ((p q) (q p)) (=> p q {below[2]})))"
        case "term-let":
            return f"(let ((t {terms[0]})) (let (({names[0]} (+ t {names[-1]}))) (<= {names[0]} t {terms[1]})))"
        case "!":
            return f"(and (! {below[0]} :named n{rng.integers(2**40)} :weight (1 2)) {below[1]})"
        case "chain":
            return f"({rng.choice(['<=', '<', '>=', '>', '=', 'distinct'])} {' '.join(terms)})"
        case "if":
            chosen = f"(ite {below[0]} {terms[0]} (ite {below[1]} {terms[1]} {names[0]}))"
            return f"({rng.choice(['<=', '<', '='])} (- {chosen} 0.25) {terms[2]})"
    return f"({kind} {' '.join(below[: rng.integers(2, 4)])})"


def random_commands(rng: np.random.Generator, inputs: int, outputs: int, depth: int = 2) -> str:
    """The same as `random_text` in SMT-LIB's full dress: logic, functions without arguments, check-sat."""
    names = [f"X_{i}" for i in range(inputs)] + [f"Y_{i}" for i in range(outputs)]
    parts = ["(set-logic QF_LRA)", '(set-info :source "one; (two")', "(set-option :produce-models true)"]
    parts += [f"(declare-fun {n} () Real)" if rng.random() < 0.5 else f"(declare-const {n} Real)" for n in names]
    parts += [f"(assert (<= -2 X_{i} {rng.integers(0, 3)}))" for i in range(inputs)]
    parts.append(f"(define-fun half () Real {term(rng, names, 1)})(define-fun both () Bool {logic(rng, names, 1)})")
    for _ in range(rng.integers(1, 3)):
        parts.append(f"(assert{blank(rng)}{logic(rng, names, depth)})")
    parts.append(f"(assert (or both (<= half (+ 1 |{names[0]}|))))(check-sat)(get-model)(exit) (nothing is read here")
    return blank(rng).join(parts)


def in_version_2(text: str, shape: tuple[int, ...] = ()) -> str:
    """A VNN-LIB 1 text with one network's tensors in place of its variables; `shape` is the input's."""
    counts = [len(re.findall(rf"\(\s*declare-const\s+{letter}_", text)) for letter in "XY"]
    shape = shape or (counts[0],)

    def element(match: re.Match[str]) -> str:
        if match[1] == "Y":
            return f"Y[{match[2]}]"
        return f"X[{','.join(map(str, np.unravel_index(int(match[2]), shape)))}]"

    body = re.sub(r"\(\s*declare-const\s+[XY]_[0-9]+\s+Real\s*\)", "", text)
    body = re.sub(r"\(=(?=\s)", "(==", re.sub(r"\b([XY])_([0-9]+)\b", element, body))
    tensors = f"(declare-input X real [{','.join(map(str, shape))}])(declare-output Y Real [{counts[1]}])"
    return f"(vnnlib-version <2.0>)(declare-network f {tensors})\n{body}"


EXACT: list[bool] = []  # whether literals are the numbers that their digits are


@contextmanager
def exact_literals() -> Iterator[None]:
    """Let `satisfied` take 0.1 for a tenth, and not for the float64 next to it."""
    EXACT.append(True)
    try:
        yield
    finally:
        EXACT.pop()


def satisfied(text: str, x: list[Fraction], y: list[Fraction]) -> bool:
    """Whether x and y satisfy every assertion, in rational arithmetic."""
    tokens = [t for t in re.findall(r';[^\n]*|"[^"]*"|\|[^|]*\||[()]|[^\s();"|]+', text) if t[0] != ";"]
    values: dict[str, object] = {f"X_{i}": v for i, v in enumerate(x)} | {f"Y_{i}": v for i, v in enumerate(y)}
    position = 0
    while position < len(tokens):
        command, position = _tree(tokens, position)
        if command[0] == "exit":
            break
        if command[0] == "define-fun":
            values[command[1]] = _value(command[4], values)
        if command[0] == "assert" and not _value(command[1], values):
            return False
    return True


def member(prop: Property, x: list[Fraction], y: list[Fraction]) -> bool:
    """Whether x and y solve some case of the property, in rational arithmetic."""
    for case in prop.cases:
        region = case.region
        ends = ((region.lower, region.strict_lower, -1), (region.upper, region.strict_upper, 1))
        inside = all(
            _holds(sign * v, sign * Fraction(float(end)), strict)
            for bounds, masks, sign in ends
            for v, end, strict in zip(x, bounds, masks, strict=True)
        )
        inside = inside and _rows_hold(-region.rows, region.offsets, region.strict, x)
        point = [*y, *x] if prop.joint else y
        for p in case.forbidden if inside else ():
            if _rows_hold(p.rows, p.rhs, p.strict, point):
                return True
    return False


def _rows_hold(rows: np.ndarray, rhs: np.ndarray, strict: np.ndarray, point: list[Fraction]) -> bool:
    return all(_holds(_dot(row, point), Fraction(d), s) for row, d, s in zip(rows, rhs, strict, strict=True))


def _holds(value: Fraction, limit: Fraction, strict: bool) -> bool:
    """value <= limit, or < where strict."""
    return value < limit or (value == limit and not strict)


def _dot(row: np.ndarray, point: list[Fraction]) -> Fraction:
    return sum((Fraction(float(c)) * v for c, v in zip(row, point, strict=True)), Fraction(0))


def _tree(tokens: list[str], position: int):
    if tokens[position] != "(":
        return tokens[position], position + 1
    children, position = [], position + 1
    while tokens[position] != ")":
        child, position = _tree(tokens, position)
        children.append(child)
    return children, position + 1


def _value(tree, values: dict[str, object]):
    if isinstance(tree, str):
        name = tree.strip("|")
        if name in values:
            return values[name]
        return name == "true" if name in ("true", "false") else Fraction(name if EXACT else float(name))
    operator = tree[0]
    if operator == "let":
        return _value(tree[2], values | {name: _value(v, values) for name, v in tree[1]})
    if operator == "!":
        return _value(tree[1], values)
    arguments = [_value(a, values) for a in tree[1:]]
    first, rest = arguments[0], arguments[1:]
    pairs = list(pairwise(arguments))
    match operator:
        case "and":
            return all(arguments)
        case "or":
            return any(arguments)
        case "not":
            return not first
        case "=>":
            return not all(arguments[:-1]) or arguments[-1]
        case "xor":
            return sum(arguments) % 2 == 1
        case "ite":
            return rest[0] if first else rest[1]
        case "distinct":
            return len(set(arguments)) == len(arguments)
        case "<=":
            return all(a <= b for a, b in pairs)
        case ">=":
            return all(a >= b for a, b in pairs)
        case "<":
            return all(a < b for a, b in pairs)
        case ">":
            return all(a > b for a, b in pairs)
        case "=":
            return all(a == b for a, b in pairs)
        case "+":
            return sum(arguments)
        case "-":
            return first - sum(rest) if rest else -first
        case "*":
            return reduce(mul, arguments)
        case "/":
            return reduce(truediv, arguments)
    raise ValueError(operator)
