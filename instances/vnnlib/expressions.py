"""One pass over SMT-LIB expressions: commands begin here, and both versions of VNN-LIB share it.

A stack machine reads an expression, so nesting depth is bounded by memory alone; the commonest comparison has a regular
expression of its own, which is what makes a 10-MB file take a second.

Semantics. A decimal literal means the float64 nearest to it, as in every tool of the competition; all arithmetic on
literals is exact (Fractions). With `exact`, a literal is the very number that is written.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction

from .formula import Atom, Conjunction, Number, Text
from .trees import (
    Node,
    Term,
    Tree,
    arithmetic,
    chosen,
    compare,
    distinct,
    equal_formulas,
    is_tree,
    multiplied_out,
)

__all__ = ["GAP", "NUMBER", "SKIP", "Expressions", "shown"]

SKIP = r"(?:\s++|;[^\n]*+)*+"
GAP = r"(?:\s++|;[^\n]*+)++"
NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_SKIPPED = re.compile(SKIP)
_LITERAL = re.compile(NUMBER)
_NOT_FINITE = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)
MOST_DIGITS = 1000  # of a literal that is taken for the number that is written: a Fraction of more may be of any size

_COMPARISONS = ("<=", ">=", "<", ">", "=")
_CONNECTIVES = ("and", "or", "not", "=>", "xor")
_ARITHMETIC = ("+", "-", "*", "/")
_ANY = ("ite", "let", "!", "distinct")  # of terms and of formulas


@dataclass(eq=False)
class _Frame:
    """An operator whose arguments are being read."""

    operator: str
    position: int
    arguments: list[Term | Tree]
    names: list[str]  # of a let
    binding: bool = False  # whether a let still reads its bindings


class Expressions(ABC):
    """Reader of expressions of one text; the commands around them are read by its two children."""

    token_form: re.Pattern[str]  # group 1: the token, behind what is skipped
    atom_form: re.Pattern[str]  # relation, variable, then another variable or a literal
    name_form: re.Pattern[str]  # of variables
    same_as: dict[str, str]  # further spellings of operators
    known = _CONNECTIVES + _COMPARISONS + _ARITHMETIC + _ANY
    variables_are = ""  # how variables are written, for messages

    def __init__(self, text: Text, exact: bool = False) -> None:
        self.text, self.exact = text, exact
        self.definitions: dict[str, Term | Tree] = {}
        self.scopes: list[dict[str, Term | Tree]] = []  # of lets, the innermost last

    @abstractmethod
    def variable(self, name: str, position: int) -> int:
        """Number of a variable. Raises PropertyError where it is not declared."""

    def formula(self, position: int) -> tuple[list[Conjunction], int]:
        """Read one formula; returns its disjunction of conjunctions, and where it ends."""
        value, position = self.expression(position)
        if not is_tree(value):
            self.text.fail(position - 1, "a term where a formula should stand; expected and, or, or a comparison")
        return multiplied_out(value, self.text), position  # type: ignore[arg-type]

    def expression(self, position: int) -> tuple[Term | Tree, int]:
        """Read one expression; returns its value, and where it ends."""
        text, stack = self.text.text, list[_Frame]()
        self.scopes.clear()
        while True:
            value: Term | Tree
            if not self.scopes and (match := self.atom_form.match(text, position)):
                value, position = self.plain_atom(match), match.end()
            else:
                token, start, position = self.token(position)
                between = self.between(position) if token == "(" else None
                if token == "(" and not between:
                    frame, position = self.opened(position)
                    stack.append(frame)
                    continue
                if token == ")" and not stack:
                    self.text.fail(start, "')' where a formula should stand")
                if between:
                    value, position = between
                else:
                    value = self.closed(stack.pop()) if token == ")" else self.operand(token, start)
            if not stack:
                return value, position
            frame = stack[-1]
            frame.arguments.append(value)
            if frame.binding:
                position = self.bound(frame, position)
            elif frame.operator == "!":
                position = self.annotated(frame, position)

    def between(self, position: int) -> tuple[Tree, int] | None:
        """Behind a '(': a comparison that stands between its sides, and where it ends; SMT-LIB has none."""
        return None

    def opened(self, position: int) -> tuple[_Frame, int]:
        """The operator behind a '('."""
        word, start, position = self.token(position)
        operator = self.same_as.get(word, word)
        if operator not in self.known:
            self.text.fail(start, f"unknown operator {shown(word)}; expected one of {' '.join(self.known)}")
        frame = _Frame(operator, start, [], [], operator == "let")
        return frame, self.bindings(frame, position) if frame.binding else position

    def bindings(self, frame: _Frame, position: int) -> int:
        """Open the bindings of a let."""
        _, position = self.expect("(", position, "the bindings of a let")
        return self.next_binding(frame, position)

    def next_binding(self, frame: _Frame, position: int) -> int:
        """Read `(NAME` of the next binding of a let, or the end of them; all are seen in the body alone."""
        token, start, position = self.token(position)
        if token == "(":
            name, at, position = self.token(position)
            frame.names.append(self.symbol(name, at))
            return position
        if token != ")":
            self.text.fail(start, f"{shown(token)} among the bindings of a let; expected (NAME VALUE)")
        frame.binding = False
        self.scopes.append(dict(zip(frame.names, frame.arguments, strict=True)))
        return position

    def bound(self, frame: _Frame, position: int) -> int:
        """Behind the value of a binding."""
        _, position = self.expect(")", position, "the end of a binding of a let")
        return self.next_binding(frame, position)

    def annotated(self, frame: _Frame, position: int) -> int:
        """Skip the attributes of `(! t :named n)`, up to its end; the name stands for t from here on."""
        while True:
            token, start, end = self.token(position)
            if token == ")":
                return position
            if not token.startswith(":"):
                self.text.fail(start, f"{shown(token)} behind an annotated term; expected an attribute, as :named n")
            following, at, after = self.token(end)
            position = end
            if token == ":named":
                self.define(self.symbol(following, at), frame.arguments[0], at)
                position = after
            elif following != ")" and not following.startswith(":"):
                position = self.balanced(end)

    def balanced(self, position: int) -> int:
        """End of one token or parenthesised group."""
        depth = 0
        while True:
            token, start, position = self.token(position)
            depth += (token == "(") - (token == ")")
            if depth < 0:
                self.text.fail(start, "')' where a value should stand")
            if depth == 0:
                return position

    def closed(self, frame: _Frame) -> Term | Tree:
        """Value of an operator whose arguments have all been read."""
        operator, position, arguments = frame.operator, frame.position, frame.arguments
        if operator in ("let", "!"):
            if len(arguments) != 1 + len(frame.names):
                self.text.fail(position, f"{shown(operator)} needs one body")
            if operator == "let":
                self.scopes.pop()
            return arguments[-1]
        trees = [a for a in arguments if is_tree(a)]
        if operator == "ite":
            return self.if_then_else(arguments, position)
        if operator in _CONNECTIVES or (operator in ("=", "distinct") and trees):
            return self.connected(operator, trees, len(arguments), position)  # type: ignore[arg-type]
        if trees:
            self.text.fail(position, f"'{operator}' needs terms; it was given a formula (and, or, or a comparison)")
        terms: list[Term] = arguments  # type: ignore[assignment]
        if operator in _COMPARISONS or operator == "distinct":
            if len(terms) < 2:
                self.text.fail(position, f"'{operator}' compares two terms or more, it was given {len(terms)}")
            return (
                distinct(terms, position, self.text)
                if operator == "distinct"
                else compare(operator, terms, position, self.text)
            )
        if not terms or (operator in "*/" and len(terms) < 2):
            least = 1 if operator in "+-" else 2
            self.text.fail(position, f"'{operator}' was given {len(terms)} terms, it needs {least} or more")
        return arithmetic(operator, terms, position, self.text)

    def connected(self, operator: str, trees: list[Tree], given: int, position: int) -> Tree:
        """A connective of formulas; `=` and `distinct` between formulas are connectives, too."""
        if not trees or len(trees) != given:
            self.text.fail(position, f"'{operator}' needs formulas, one or more, and no bare terms")
        if operator in ("and", "or"):
            return trees[0] if given == 1 else Node(operator, tuple(trees), position)
        if (operator == "not") != (given == 1) or (operator == "distinct" and given > 2):
            wanted = {"not": "one formula", "distinct": "two formulas (or terms)"}.get(operator, "two formulas or more")
            self.text.fail(position, f"'{operator}' was given {given} formulas, it needs {wanted}")
        if operator == "not":
            return Node("not", (trees[0],), position)
        if operator == "=>":
            return Node("or", (*(Node("not", (t,), position) for t in trees[:-1]), trees[-1]), position)
        if operator == "=":
            pairs = zip(trees[:-1], trees[1:], strict=True)
            return Node("and", tuple(equal_formulas(a, b, position) for a, b in pairs), position)
        total = trees[0]
        for tree in trees[1:]:  # xor, and distinct of two
            total = Node("not", (equal_formulas(total, tree, position),), position)
        return total

    def if_then_else(self, arguments: list[Term | Tree], position: int) -> Term | Tree:
        """`(ite condition a b)` of two formulas or two terms."""
        kinds = [is_tree(a) for a in arguments]
        if kinds == [True, True, True]:
            guard, then, otherwise = arguments
            no = Node("not", (guard,), position)
            return Node("choice", ((guard, then), (no, otherwise)), position)
        if kinds != [True, False, False]:
            self.text.fail(position, "'ite' needs a formula and two terms, or three formulas")
        guard, then, otherwise = arguments
        return chosen(guard, then, otherwise, position)  # type: ignore[arg-type]

    def operand(self, token: str, position: int) -> Term | Tree:
        """Value of a token that stands for itself."""
        name = _bare(token)
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if name in self.definitions:
            return self.definitions[name]
        if token in ("true", "false"):
            return token == "true"
        if self.name_form.fullmatch(name):
            return {self.variable(name, position): Fraction(1)}, Fraction(0)
        return {}, Fraction(self.constant(token, position))

    def define(self, name: str, value: Term | Tree, position: int) -> None:
        """Let a name stand for a value from here on."""
        if name in self.definitions or self.name_form.fullmatch(name):
            self.text.fail(position, f"{shown(name)} is declared twice, or is the name of a variable")
        self.definitions[name] = value

    def symbol(self, token: str, position: int) -> str:
        """A token that should be a name."""
        if token in "()" or token[0] in '":' or _LITERAL.fullmatch(token):
            self.text.fail(position, f"{shown(token)} where a name should stand")
        return _bare(token)

    def plain_atom(self, match: re.Match[str]) -> Tree:
        """`(<= X_0 0.5)` or `(<= Y_0 Y_1)`, as atom_form matched it."""
        relation, name, other, literal = match.groups()
        left = self.variable(name, match.start(2))
        sign, strict = 1 if relation[0] == "<" else -1, len(relation) == 1
        if literal is not None:
            return Atom(((left, sign),), -sign * self.literal(literal, match.start(4)), match.start(1), strict)
        right = self.variable(other, match.start(3))
        if left == right:
            return not strict
        return Atom(((left, sign), (right, -sign)), 0, match.start(1), strict)

    def token(self, position: int) -> tuple[str, int, int]:
        """The next token, where it starts and where it ends."""
        match = self.token_form.match(self.text.text, position)
        if match is None:
            self.text.fail(len(self.text.text.rstrip()), "the file ends inside a command; a ')' is missing")
        if match[1] in ('"', "|"):
            self.text.fail(match.start(1), f"{match[1]} opens a string or a name that nothing closes")
        return match[1], match.start(1), match.end()

    def expect(self, wanted: str, position: int, what: str) -> tuple[int, int]:
        """Where a token that must stand here starts and ends."""
        token, start, end = self.token(position)
        if token != wanted:
            self.text.fail(start, f"{shown(token)} where {what} should stand; expected '{wanted}'")
        return start, end

    def skipped(self, position: int) -> int:
        """End of the white space and comments that start at `position`."""
        match = _SKIPPED.match(self.text.text, position)
        return match.end() if match else position

    def constant(self, token: str, position: int) -> Number:
        """Value of a token that should be a number."""
        if _LITERAL.fullmatch(token):
            return self.literal(token, position)
        if _NOT_FINITE.fullmatch(token):
            self.text.fail(position, f"the constant {token}; expected a finite number")
        self.text.fail(position, f"{shown(token)} is no number and no variable; variables are {self.variables_are}")

    def literal(self, literal: str, position: int) -> Number:
        """The float64 nearest to a decimal literal, or the literal itself."""
        value = float(literal)
        if math.isinf(value):
            self.text.fail(position, f"the constant {literal} is beyond float64; expected a finite number")
        if not self.exact:
            return value
        if len(literal) > MOST_DIGITS or abs(int(literal.lower().partition("e")[2] or 0)) > MOST_DIGITS:
            return value
        return Fraction(literal)


def shown(token: str) -> str:
    """A token in a message, cut where it is long."""
    return repr(token if len(token) <= 40 else token[:40] + "...")


def _bare(token: str) -> str:
    """|X_0| is the same name as X_0."""
    return token[1:-1] if len(token) > 2 and token[0] == token[-1] == "|" else token
