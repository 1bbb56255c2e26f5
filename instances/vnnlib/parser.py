"""VNN-LIB 1 text -> declarations, plain bounds, and every other assertion as a disjunction of conjunctions.

The grammar is SMT-LIB's, cut down to `declare-const` and `assert`, `and` and `or`, `<= >= < > =`, `true` and
`false`, and linear terms of `+ - * /`. A stack machine reads it, so nesting depth is bounded by memory
alone; the two commonest commands and the commonest atom have a regular expression of their own, which is
what makes a 10-MB file take a second.

Semantics. A decimal literal means the float64 nearest to it, as in every tool of the competition; all
arithmetic on literals is exact (Fractions). Strict comparisons stay strict.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from .formula import Atom, Conjunction, Formula, Linear, Text, add, compare, conjoin, scale

__all__ = ["parse"]

_SKIP = r"(?:\s++|;[^\n]*+)*+"
_GAP = r"(?:\s++|;[^\n]*+)++"
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_COMPARE = r"(<=|>=|<|>)"
_SKIPPED = re.compile(_SKIP)
_DECLARE = re.compile(rf"{_SKIP}\({_SKIP}declare-const{_GAP}([XY]_(0|[1-9][0-9]{{0,8}})){_GAP}Real{_SKIP}\)")
_BOUND = re.compile(rf"{_SKIP}\(\s*+assert\s*+\(\s*+{_COMPARE}\s++([XY]_[0-9]+)\s++({_NUMBER})\s*+\)\s*+\)")
_ATOM = re.compile(rf"{_SKIP}\(\s*+{_COMPARE}\s++([XY]_[0-9]+)\s++(?:([XY]_[0-9]+)|({_NUMBER}))\s*+\)")
_TOKEN = re.compile(rf"{_SKIP}([()]|[^\s();]++)")
_LITERAL = re.compile(_NUMBER)
_NOT_FINITE = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)

_COMPARISONS = ("<=", ">=", "<", ">", "=")
_CONNECTIVES = ("and", "or")
_ARITHMETIC = ("+", "-", "*", "/")

_Disjunction = list[Conjunction]
_Frame = tuple[str, int, list[Linear | _Disjunction]]  # operator, position, arguments read so far


def parse(text: str, name: str = "property") -> Formula:
    """Read a whole VNN-LIB text.

    >>> declarations = "(declare-const X_0 Real)(declare-const Y_0 Real)"
    >>> formula = parse(declarations + "(assert (<= X_0 2))(assert (<= Y_0 X_0))")
    >>> formula.bounds[0][:3], formula.assertions[0][0][0].terms
    ((0, True, 2.0), ((-1, 1), (0, -1)))

    Raises PropertyError, with the line, for anything that is not VNN-LIB 1 with linear terms.
    """
    return _Parser(Text(text, name)).run()


class _Parser:
    """One pass over the text: `run` reads commands, `assertion` one formula by an explicit stack."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.names: dict[str, int] = {}
        self.formula = Formula(text, [], [], [], [])

    def run(self) -> Formula:
        """Read command after command to the end of the text."""
        text, names, bounds = self.text.text, self.names, self.formula.bounds
        declared: dict[str, dict[int, int]] = {"X": {}, "Y": {}}
        position, end = _skip(text, 0), len(text)
        while position < end:
            if match := _BOUND.match(text, position):
                relation, name, literal = match.groups()
                if name not in names:
                    self.variable(name, match.start(2))
                value = self.literal(literal, match.start(3))
                bounds.append((names[name], relation[0] == "<", value, match.start(2), len(relation) == 1))
                position = match.end()
            elif match := _DECLARE.match(text, position):
                name, index = match[1], int(match[2])
                if name in names:
                    self.text.fail(match.start(1), f"{name} is declared twice; drop one of the declarations")
                names[name] = index if name[0] == "X" else ~index
                declared[name[0]][index] = match.start(1)
                position = match.end()
            else:
                position = self.command(position)
            position = _skip(text, position)
        self.formula.inputs = self.contiguous(declared["X"], "X", "input")
        self.formula.outputs = self.contiguous(declared["Y"], "Y", "output")
        return self.formula

    def contiguous(self, positions: dict[int, int], letter: str, what: str) -> list[int]:
        """Positions of the declarations by index; PropertyError if there are none or an index is left out."""
        if not positions:
            message = f"no {what} is declared; expected (declare-const {letter}_0 Real)"
            self.text.fail(len(self.text.text.rstrip()), message)
        gap = next((i for i in range(len(positions)) if i not in positions), None)
        if gap is not None:
            highest = max(positions)
            self.text.fail(
                positions[highest],
                f"{letter}_{highest} is declared but {letter}_{gap} is not; indices must have no gap",
            )
        return [positions[i] for i in range(len(positions))]

    def command(self, position: int) -> int:
        """Read a command that the fast paths did not take; returns where it ends."""
        token, start, position = self.token(position)
        if token != "(":
            self.text.fail(
                start, f"{_shown(token)} where a command should start; expected (declare-const or (assert"
            )
        token, start, position = self.token(position)
        if token == "assert":
            disjunction, position = self.assertion(position)
            self.formula.assertions.append(disjunction)
            token, start, position = self.token(position)
            if token != ")":
                self.text.fail(start, f"{_shown(token)} after the formula of an assert; expected ')'")
            return position
        if token == "declare-const":
            name, start, _ = self.token(position)
            self.text.fail(
                start,
                f"cannot read the declaration of {_shown(name)}; "
                "expected (declare-const X_i Real) or (declare-const Y_i Real), i = 0, 1, ...",
            )
        self.text.fail(start, f"unknown command {_shown(token)}; VNN-LIB 1 has declare-const and assert")

    def assertion(self, position: int) -> tuple[list[Conjunction], int]:
        """Read one formula; returns its disjunction of conjunctions, and where it ends."""
        text, names = self.text.text, self.names
        stack: list[_Frame] = []
        while True:
            value: Linear | _Disjunction
            if match := _ATOM.match(text, position):
                value = self.plain_atom(match)
                position = match.end()
            else:
                token, start, position = self.token(position)
                if token == "(":
                    operator, start, position = self.token(position)
                    if operator not in _COMPARISONS + _CONNECTIVES + _ARITHMETIC:
                        known = " ".join(_CONNECTIVES + _COMPARISONS + _ARITHMETIC)
                        self.text.fail(start, f"unknown operator {_shown(operator)}; expected one of {known}")
                    stack.append((operator, start, []))
                    continue
                if token == ")":
                    if not stack:
                        self.text.fail(start, "')' where a formula should stand")
                    value = self.apply(*stack.pop())
                elif token in ("true", "false"):
                    value = [()] if token == "true" else []
                elif token in names:
                    value = ({names[token]: Fraction(1)}, Fraction(0))
                else:
                    value = ({}, Fraction(self.constant(token, start)))
            if stack:
                stack[-1][2].append(value)
            elif isinstance(value, list):
                return value, position
            else:
                self.text.fail(
                    position - 1, "a term where a formula should stand; expected and, or, or a comparison"
                )

    def plain_atom(self, match: re.Match[str]) -> list[Conjunction]:
        """`(<= X_0 0.5)` or `(<= Y_0 Y_1)`, as _ATOM matched it."""
        relation, name, other, literal = match.groups()
        left = self.variable(name, match.start(2))
        sign, strict = 1 if relation[0] == "<" else -1, len(relation) == 1
        if literal is not None:
            value = self.literal(literal, match.start(4))
            return [(Atom(((left, sign),), -sign * value, match.start(1), strict),)]
        right = self.variable(other, match.start(3))
        if left == right:
            return [] if strict else [()]
        return [(Atom(((left, sign), (right, -sign)), 0, match.start(1), strict),)]

    def apply(
        self, operator: str, position: int, arguments: list[Linear | _Disjunction]
    ) -> Linear | _Disjunction:
        """Value of an operator whose arguments have all been read."""
        formulas = [a for a in arguments if isinstance(a, list)]
        terms = [a for a in arguments if not isinstance(a, list)]
        if operator in _CONNECTIVES:
            if terms or not formulas:
                self.text.fail(position, f"'{operator}' needs formulas, one or more, and no bare terms")
            if operator == "and":
                return conjoin(formulas, self.text)
            for more in formulas[1:]:
                formulas[0].extend(more)
            return formulas[0]
        if formulas:
            self.text.fail(
                position, f"'{operator}' needs terms; it was given a formula (and, or, or a comparison)"
            )
        if operator in _COMPARISONS:
            if len(terms) != 2:
                self.text.fail(position, f"'{operator}' compares two terms, it was given {len(terms)}")
            return compare(operator, terms[0], terms[1], position)
        if not terms or (operator in "*/" and len(terms) < 2):
            self.text.fail(
                position,
                f"'{operator}' was given {len(terms)} terms, it needs {1 if operator in '+-' else 2} or more",
            )
        return self.arithmetic(operator, position, terms)

    def arithmetic(self, operator: str, position: int, terms: list[Linear]) -> Linear:
        """Sum, difference, product or quotient of linear terms."""
        if operator in "+-":
            if operator == "-" and len(terms) == 1:
                return scale(terms[0], Fraction(-1))
            total = terms[0]
            for term in terms[1:]:
                total = add(total, term, 1 if operator == "+" else -1)
            return total
        result = terms[0]
        for factor in terms[1:]:
            if operator == "/":
                if factor[0] or factor[1] == 0:
                    self.text.fail(position, "division by zero or by a variable; terms must be linear")
                result = scale(result, 1 / factor[1])
            elif factor[0] and result[0]:
                self.text.fail(position, "product of two variables; terms must be linear")
            else:
                result = scale(factor, result[1]) if factor[0] else scale(result, factor[1])
        return result

    def token(self, position: int) -> tuple[str, int, int]:
        """The next token, where it starts and where it ends."""
        match = _TOKEN.match(self.text.text, position)
        if match is None:
            self.text.fail(len(self.text.text.rstrip()), "the file ends inside a command; a ')' is missing")
        return match[1], match.start(1), match.end()

    def variable(self, name: str, position: int) -> int:
        """Number of a declared variable."""
        if name not in self.names:
            self.text.fail(
                position, f"{name} is used before it is declared; expected (declare-const {name} Real) above"
            )
        return self.names[name]

    def constant(self, token: str, position: int) -> float:
        """Value of a token that should be a number."""
        if _LITERAL.fullmatch(token):
            return self.literal(token, position)
        if _NOT_FINITE.fullmatch(token):
            self.text.fail(position, f"the constant {token}; expected a finite number")
        if re.fullmatch(r"[XY]_[0-9]+", token):
            self.variable(token, position)
        self.text.fail(
            position,
            f"{_shown(token)} is no number and no variable; variables are X_0, X_1, ... and Y_0, Y_1, ...",
        )

    def literal(self, literal: str, position: int) -> float:
        """The float64 nearest to a decimal literal."""
        value = float(literal)
        if math.isinf(value):
            self.text.fail(position, f"the constant {literal} is beyond float64; expected a finite number")
        return value


def _skip(text: str, position: int) -> int:
    """End of the white space and comments that start at `position`."""
    match = _SKIPPED.match(text, position)
    return match.end() if match else position


def _shown(token: str) -> str:
    return repr(token if len(token) <= 40 else token[:40] + "...")
