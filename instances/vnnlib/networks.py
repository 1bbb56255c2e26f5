"""VNN-LIB 2 text -> declared networks, plain bounds, and every other assertion as a disjunction of conjunctions.

    (vnnlib-version <2.0>)
    (declare-network f (declare-input X real [1,5]) (declare-output Y real [5]))
    (assert (<= X[0,3] 0.5))

Elements of all inputs are numbered through, and so are those of all outputs (`declarations.Tensor`). Floats are read as
reals, which a note says; with `strict` they are refused. Read besides what the standard has: SMT-LIB's connectives,
exponents in numbers, `=` for `==`, and comparisons between their sides, `(X[0] < X[1])`, as some tools write them.
Refused by name: hidden nodes, integers, polynomial terms, dimensions that are not numbers.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from typing import NoReturn

from ..declarations import FLOATS, Declared, Tensor
from .expressions import NUMBER, SKIP, Expressions, shown
from .formula import Bound, Formula, Text
from .trees import Term, Tree, compare

__all__ = ["parse_networks"]

_NAME = r"[A-Za-z][A-Za-z0-9_]*+"
_ELEMENT = rf"{_NAME}(?:\s*+\[[^\]()]*+\])?+"
_COMPARE = r"(<=|>=|<|>)"
_SIDE = rf"({_ELEMENT}|{NUMBER})"
_BOUND = re.compile(rf"{SKIP}\(\s*+assert\s*+\(\s*+{_COMPARE}\s++({_ELEMENT})\s++({NUMBER})\s*+\)\s*+\)")
_INFIX = re.compile(rf"\s*+{_SIDE}\s*+(<=|>=|==|!=|<|>)\s*+{_SIDE}\s*+\)")
_SHAPE = re.compile(rf"{SKIP}(\[[^\]()]*+\])")
_PARTS = {"declare-input": 0, "declare-hidden": 1, "declare-output": 2}
MOST_ELEMENTS = 10**7


def parse_networks(text: str, name: str = "property", exact: bool = False, strict: bool = False) -> Formula:
    """Read a whole VNN-LIB 2 text; `networks` of the formula are what it declares.

    exact: literals are the numbers that are written, not the float64s nearest to them; strict: refuse floats.

    >>> net = "(declare-network f (declare-input X real [2]) (declare-output Y real []))"
    >>> formula = parse_networks(net + "(assert (<= X[1] 2))(assert (!= Y 0))")
    >>> formula.bounds[0][:3], len(formula.assertions[0])
    ((1, True, 2.0), 2)

    Raises PropertyError, with the line, for anything else.
    """
    return _Parser(Text(text, name), exact, strict).run()


class _Parser(Expressions):
    """One pass over the text: `run` reads commands."""

    token_form = re.compile(rf'{SKIP}([()]|"[^"]*+"|{_ELEMENT}(?![^\s();"\[\]])|[^\s();"]++|")')
    atom_form = re.compile(rf"{SKIP}\(\s*+{_COMPARE}\s++({_ELEMENT})\s++(?:({_ELEMENT})|({NUMBER}))\s*+\)")
    name_form = re.compile(_ELEMENT)
    same_as = {"==": "=", "!=": "distinct"}
    variables_are = "elements of the declared tensors, as X[0,3]"

    def __init__(self, text: Text, exact: bool, strict: bool) -> None:
        super().__init__(text, exact)
        self.strict = strict
        self.tensors: dict[str, Tensor] = {}
        self.numbers: dict[str, int] = {}  # of elements as they are spelled
        self.formula_read = Formula(text, [], [], [], [])

    def run(self) -> Formula:
        """Read command after command to the end of the text."""
        text, formula = self.text.text, self.formula_read
        position, end = self.skipped(text.startswith("\ufeff")), len(text)
        while position < end:
            if match := _BOUND.match(text, position):
                relation, name, literal = match.groups()
                value = self.literal(literal, match.start(3))
                variable = self.variable(name, match.start(2))
                bound: Bound = variable, relation[0] == "<", value, match.start(2), len(relation) == 1
                formula.bounds.append(bound)
                position = match.end()
            else:
                position = self.command(position)
            position = self.skipped(position)
        if not formula.networks:
            self.text.fail(len(text.rstrip()), "no network is declared; expected (declare-network NAME ...)")
        formula.spelled = self.speller()
        floats = sorted({t.kind for n in formula.networks for t in n.tensors if t.kind in FLOATS})
        if floats:
            formula.notes.append(f"declared {' and '.join(floats)}, read as reals")
        return formula

    def speller(self) -> Callable[[int], str]:
        """How variables are written."""
        sides = [[t for n in self.formula_read.networks for t in n.tensors if t.is_input == s] for s in (True, False)]

        def spelled(variable: int) -> str:
            tensors, number = (sides[0], variable) if variable >= 0 else (sides[1], ~variable)
            tensor = tensors[bisect_right([t.first for t in tensors], number) - 1]
            return tensor.element(number - tensor.first)

        return spelled

    def command(self, position: int) -> int:
        """Read a command; returns where it ends."""
        _, position = self.expect("(", position, "a command")
        token, start, position = self.token(position)
        if token == "assert":
            disjunction, position = self.formula(position)
            self.formula_read.assertions.append(disjunction)
            return self.expect(")", position, "the end of an assert")[1]
        if token == "declare-network":
            return self.network(position)
        if token == "vnnlib-version":
            version, at, position = self.token(position)
            if not re.fullmatch(r"<?2\.[0-9]+>?", version):
                self.text.fail(at, f"version {shown(version)}; expected <2.0>")
            return self.expect(")", position, "the end of vnnlib-version")[1]
        self.text.fail(start, f"unknown command {shown(token)}; VNN-LIB 2 has declare-network and assert")

    def network(self, position: int) -> int:
        """`(declare-network NAME ...)`."""
        name, start, position = self.token(position)
        if not re.fullmatch(_NAME, name):
            self.text.fail(start, f"{shown(name)} where the name of a network should stand")
        known = {n.name: n for n in self.formula_read.networks}
        if name in known or name in self.tensors:
            self.text.fail(start, f"{name} is declared twice; names must be unique")
        tensors: list[Tensor] = []
        like = {"equal-to": "", "isomorphic-to": ""}
        last = -1
        while True:
            token, at, position = self.token(position)
            if token == ")":
                break
            if token != "(":
                self.text.fail(at, f"{shown(token)} in the declaration of network {name}; expected (declare-input ...")
            word, at, position = self.token(position)
            if word in like:
                other, at, position = self.token(position)
                if other not in known or any(like.values()):
                    self.text.fail(at, f"({word} {other}: expected one network that is declared above")
                like[word] = other
                position = self.expect(")", position, f"the end of {word}")[1]
                continue
            if word not in _PARTS:
                self.text.fail(at, f"{shown(word)} in the declaration of network {name}; expected declare-input, "
                               "declare-output, equal-to or isomorphic-to")  # fmt: skip
            if _PARTS[word] < last:
                self.text.fail(at, f"{word} behind outputs; expected inputs first")
            last = _PARTS[word]
            tensor, position = self.tensor(word, position)
            tensors.append(tensor)
        declared = Declared(name, tuple(tensors), like["equal-to"], like["isomorphic-to"])
        if not all(declared.sizes()):
            self.text.fail(start, f"network {name} declares no {'output' if declared.sizes()[0] else 'input'}")
        self.hold_alike(declared, known, start)
        self.formula_read.networks.append(declared)
        return position

    def hold_alike(self, declared: Declared, known: dict[str, Declared], position: int) -> None:
        """Networks that are said to be alike must have the same shapes."""
        other = known.get(declared.equal_to or declared.isomorphic_to)
        shapes = [[(t.shape, t.is_input) for t in n.tensors] for n in (declared, other) if n]
        if shapes[0] != shapes[-1]:
            self.text.fail(position, f"network {declared.name} has not the shapes of the network it is like")

    def tensor(self, word: str, position: int) -> tuple[Tensor, int]:
        """Behind `(declare-input` or its like: NAME TYPE [DIMENSIONS])."""
        name, start, position = self.token(position)
        if not re.fullmatch(_NAME, name) or name in self.tensors:
            self.text.fail(start, f"{shown(name)} where the name of a new variable should stand")
        if word == "declare-hidden":
            self.text.fail(start, f"hidden node {name}: properties of hidden nodes are not supported")
        kind, at, position = self.kind(name, position)
        match = _SHAPE.match(self.text.text, position)
        if match is None:
            self.text.fail(position, f"{name} has no shape; expected [], [5] or [1,3,32,32]")
        shape = self.shape(name, match[1], match.start(1))
        token, at, position = self.token(match.end())
        if token == "initialized":
            self.text.fail(at, f"{name} is 'initialized': constants of the file as inputs are not supported")
        if token.startswith('"'):
            self.text.fail(at, f"{name} is tied to the node {shown(token)}; expected the file's order, no names")
        if token != ")":
            self.text.fail(at, f"{shown(token)} behind the shape of {name}; expected ')'")
        places = self.formula_read.inputs if word == "declare-input" else self.formula_read.outputs
        tensor = Tensor(name, kind.lower(), shape, len(places), word == "declare-input", kind)
        if len(places) + tensor.size > MOST_ELEMENTS:
            self.text.fail(start, f"{name} has {tensor.size} numbers, over the limit of {MOST_ELEMENTS} together")
        places.extend([start] * tensor.size)
        self.tensors[name] = tensor
        return tensor, position

    def kind(self, name: str, position: int) -> tuple[str, int, int]:
        """The element type; brackets that follow at once are the shape's."""
        word, start, position = self.token(position)
        kind, bracket, _ = word.partition("[")
        if bracket:
            position = self.text.text.index("[", start)
        kind = kind.strip()
        if kind.lower() not in ("real", *FLOATS):
            self.text.fail(start, f"{name} is of type {shown(kind)}; expected real or one of {', '.join(FLOATS)}")
        if self.strict and kind.lower() in FLOATS:
            self.text.fail(start, f"{name} is of type {kind}, and bounds hold for real numbers; expected real "
                           "(without --strict-types floats are read as reals)")  # fmt: skip
        return kind, start, position

    def shape(self, name: str, brackets: str, position: int) -> tuple[int, ...]:
        """The dimensions between brackets."""
        words = brackets[1:-1].replace(",", " ").split()
        if not all(re.fullmatch(r"[1-9][0-9]{0,8}", word) for word in words):
            self.text.fail(position, f"the shape {shown(brackets)} of {name}; expected positive numbers")
        return tuple(map(int, words))

    def variable(self, name: str, position: int) -> int:
        """Number of an element X[i, j]."""
        if name not in self.numbers:
            self.numbers[name] = self.element(name, position)
        return self.numbers[name]

    def element(self, spelled: str, position: int) -> int:
        """The same, read from the spelling."""
        name, _, rest = spelled.partition("[")
        tensor = self.tensors.get(name.strip())
        if tensor is None:
            self.not_declared(name.strip(), position)
        words = rest.rstrip("]").replace(",", " ").split()
        if len(words) != len(tensor.shape) or not all(re.fullmatch(r"[0-9]{1,9}", word) for word in words):
            message = f"{shown(spelled)}: expected {len(tensor.shape)} indices, {tensor.name} is {tensor.dimensions}"
            self.text.fail(position, message)
        number = 0
        for word, size in zip(words, tensor.shape, strict=True):
            if int(word) >= size:
                self.text.fail(position, f"{shown(spelled)}: index {word} is beyond {tensor.dimensions}")
            number = number * size + int(word)
        number += tensor.first
        return number if tensor.is_input else ~number

    def not_declared(self, name: str, position: int) -> NoReturn:
        """PropertyError for a name that stands for nothing."""
        known = ", ".join(self.tensors) or "none"
        self.text.fail(position, f"{shown(name)} is used before it is declared; declared are {known}")

    def between(self, position: int) -> tuple[Tree, int] | None:
        """A comparison that stands between its two sides."""
        if not (match := _INFIX.match(self.text.text, position)):
            return None
        left, operator, right = match.groups()
        sides = [self.operand(left, match.start(1)), self.operand(right, match.start(3))]
        terms: list[Term] = sides  # type: ignore[assignment]
        return self.compared(operator, terms, match.start(2)), match.end()

    def compared(self, operator: str, terms: list[Term], position: int) -> Tree:
        """A comparison by its sign in VNN-LIB 2."""
        if operator == "!=":
            return self.connected("not", [compare("=", terms, position, self.text)], 1, position)
        return compare(self.same_as.get(operator, operator), terms, position, self.text)
