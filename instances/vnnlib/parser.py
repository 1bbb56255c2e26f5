"""VNN-LIB 1 text -> declarations, plain bounds, and every other assertion as a disjunction of conjunctions.

The grammar is SMT-LIB's without quantifiers and functions: `declare-const X_0 Real` or `declare-fun X_0 () Real`,
`define-fun` without arguments, `assert`, and the commands that solvers want around them, which ask for nothing here.
The two commonest commands have a regular expression of their own. See expressions.py for what may be asserted.

VNN-LIB 2 (`(vnnlib-version <2.0>)` or a declared network) is told by the text alone, and read by networks.py.
"""

from __future__ import annotations

import re

from .expressions import GAP, NUMBER, SKIP, Expressions, shown
from .formula import Bound, Formula, Text
from .tables import read_table
from .trees import is_tree

__all__ = ["parse"]

_COMPARE = r"(<=|>=|<|>)"
_NAMED = r"[XY]_(?:0|[1-9][0-9]{0,8})"
_REAL = rf"(?:declare-const{GAP}({_NAMED}){GAP}|declare-fun{GAP}({_NAMED}){SKIP}\({SKIP}\){SKIP})Real"
_DECLARE = re.compile(rf"{SKIP}\({SKIP}{_REAL}{SKIP}\)")
_BOUND = re.compile(rf"{SKIP}\(\s*+assert\s*+\(\s*+{_COMPARE}\s++([XY]_[0-9]+)\s++({NUMBER})\s*+\)\s*+\)")
_IGNORED = (
    "set-logic", "set-info", "set-option", "check-sat", "get-model", "get-value", "get-info", "get-assignment",
    "get-unsat-core", "get-proof", "echo", "vnnlib-version",
)  # fmt: skip
_EXPECTED = "expected (declare-const X_i Real) or (declare-fun X_i () Real), X or Y, i = 0, 1, ..."
_STATEMENTS = ("assert", "declare-const", "declare-fun", "define-fun", "define-const")


def parse(text: str, name: str = "property", exact: bool = False, tables: bool = False) -> Formula:
    """Read a whole VNN-LIB 1 text.

    exact: literals are the numbers that are written, not the float64s nearest to them;
    tables: long disjunctions of few shapes may become a Table, see tables.py; not with `exact`.

    >>> declarations = "(declare-const X_0 Real)(declare-const Y_0 Real)"
    >>> formula = parse(declarations + "(assert (<= X_0 2))(assert (<= Y_0 X_0))")
    >>> formula.bounds[0][:3], formula.assertions[0][0][0].terms
    ((0, True, 2.0), ((-1, 1), (0, -1)))

    Raises PropertyError, with the line, for anything that is not VNN-LIB 1 with linear terms.
    """
    return _Parser(Text(text, name), exact, tables and not exact).run()


class _Parser(Expressions):
    """One pass over the text: `run` reads commands."""

    token_form = re.compile(rf'{SKIP}([()]|\|[^|]*+\||"(?:[^"]|"")*+"|[^\s();"|]++|["|])')
    atom_form = re.compile(rf"{SKIP}\(\s*+{_COMPARE}\s++([XY]_[0-9]+)\s++(?:([XY]_[0-9]+)|({NUMBER}))\s*+\)")
    name_form = re.compile(r"[XY]_[0-9]+")
    same_as: dict[str, str] = {}
    variables_are = "X_0, X_1, ... and Y_0, Y_1, ..."

    def __init__(self, text: Text, exact: bool, tables: bool) -> None:
        super().__init__(text, exact)
        self.tables = tables
        self.names: dict[str, int] = {}
        self.asked = False  # whether check-sat has been met
        self.formula_read = Formula(text, [], [], [], [])

    def run(self) -> Formula:
        """Read command after command to the end of the text, or to `exit`."""
        text, names, bounds = self.text.text, self.names, self.formula_read.bounds
        declared: dict[str, dict[int, int]] = {"X": {}, "Y": {}}
        position, end = self.skipped(text.startswith("\ufeff")), len(text)
        while position < end:
            if not self.asked and (match := _BOUND.match(text, position)):
                relation, name, literal = match.groups()
                variable = names[name] if name in names else self.variable(name, match.start(2))
                value = self.literal(literal, match.start(3))
                bound: Bound = variable, relation[0] == "<", value, match.start(2), len(relation) == 1
                bounds.append(bound)
                position = match.end()
            elif not self.asked and (match := _DECLARE.match(text, position)):
                name, start = match[1] or match[2], match.start(1 if match[1] else 2)
                if name in names:
                    self.text.fail(start, f"{name} is declared twice; drop one of the declarations")
                index = int(name[2:])
                names[name] = index if name[0] == "X" else ~index
                declared[name[0]][index] = start
                position = match.end()
            else:
                position = self.command(position)
            position = self.skipped(position)
        self.formula_read.inputs = self.contiguous(declared["X"], "X", "input")
        self.formula_read.outputs = self.contiguous(declared["Y"], "Y", "output")
        return self.formula_read

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
        if self.tables and not self.asked and (found := read_table(self.text.text, position, self.formula)):
            self.formula_read.tables.append((len(self.formula_read.assertions), found[0]))
            return found[1]
        token, start, position = self.token(position)
        if token != "(":
            self.text.fail(
                start, f"{shown(token)} where a command should start; expected (declare-const or (assert"
            )
        opened = start
        token, start, position = self.token(position)
        if token in _STATEMENTS and self.asked:
            self.text.fail(start, f"{token} behind check-sat; a file asks one question")
        if token == "assert":
            disjunction, position = self.formula(position)
            self.formula_read.assertions.append(disjunction)
            return self.expect(")", position, "the end of an assert")[1]
        if token in ("declare-const", "declare-fun"):
            name, start, _ = self.token(position)
            self.text.fail(start, f"cannot read the declaration of {shown(name)}; {_EXPECTED}")
        if token in ("define-fun", "define-const"):
            return self.definition(token, position)
        if token == "exit":
            self.expect(")", position, "the end of exit")
            return len(self.text.text)
        if token not in _IGNORED:
            self.text.fail(start, f"unknown command {shown(token)}; VNN-LIB 1 has declare-const and assert")
        if token == "vnnlib-version":
            version, start, _ = self.token(position)
            if not version.lstrip("<").startswith("1"):
                self.text.fail(start, f"VNN-LIB of version {version.strip('<>')}; versions 1 and 2 are read")
        self.asked = self.asked or token == "check-sat"
        return self.balanced(opened)

    def definition(self, command: str, position: int) -> int:
        """`(define-fun NAME () Real VALUE)`, or Bool."""
        name, start, position = self.token(position)
        if command == "define-fun":
            _, position = self.expect("(", position, f"the empty list of arguments of {shown(name)}")
            token, at, position = self.token(position)
            if token != ")":
                self.text.fail(at, f"define-fun {shown(name)} has arguments; only functions without any are read")
        sort, at, position = self.token(position)
        if sort not in ("Real", "Bool"):
            self.text.fail(at, f"{shown(name)} is of sort {shown(sort)}; expected Real or Bool")
        value, position = self.expression(position)
        if is_tree(value) != (sort == "Bool"):
            self.text.fail(at, f"{shown(name)} is declared {sort}, its value is not")
        self.define(self.symbol(name, start), value, start)
        return self.expect(")", position, "the end of a definition")[1]

    def variable(self, name: str, position: int) -> int:
        """Number of a declared variable."""
        if name not in self.names:
            self.text.fail(
                position, f"{name} is used before it is declared; expected (declare-const {name} Real) above"
            )
        return self.names[name]
