"""Options: every wrong value is refused in one line, and names, types and values agree wherever they are told."""

from __future__ import annotations

import math
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import hypersplit
from hypersplit import InputError, Options
from hypersplit.bab.run.options import ABOUT, METHODS, OptionValues, changed, read
from hypersplit.heuristics.splits.rules import INPUT_RULES, MEANINGS, PHASE_RULES, RULES

WRONG: dict[str, list[Any]] = {
    "timeout": [0, 0.0, -1.0, math.nan, math.inf, -math.inf, 1e300, 10**400, "60", None, True, [60.0]],
    "memory_mb": [0, -8000.0, math.nan, math.inf, 1e300, "8000", None, False],
    "nodes": [0, -1, 1.5, 10.0, 10**30, math.nan, "5", None, True],
    "jobs": [0, -2, 1.0, 10**6, math.inf, "2", None, True],
    "seed": [-1, 0.5, 2**63, 10**5000, math.nan, "0", None, False],
    "method": ["", "Split", "magic", None, 1, ("split",), np.array(["split", "milp"])],
    "rule": ["", "foo", "AXES", None, 3, ["axes"]],
    "rows": ["", "sometimes", None, True],
    "node_bounds": ["", "milp", "LP", None, True],
    "closing": ["", "sometimes", None, True],
    "groups": ["", "some", None, True],
    "k": ["", "0", "6", 3, None, True],
    "subsets": [1, 4, 2.0, "3", None, True],
    "probing": ["", "sometimes", None, True],
    "certificates": ["", "auto", None, True],
    "kernel": ["", "fast", None, 0],
    "batch": [-1, 0.5, 10**20, math.nan, "0", None, True],
    "clip": [0, 1, "true", None, math.nan],
    "trust_scip": [0, 1, "false", None],
    "strict_types": [0, 1, "false", None],
    "log": [None, 3, b"log", True, "a\0b"],
    "checkpoint": [None, 3, b"file", True, "a\0b"],
    "workers": ["", "fibers", None, 2],
    "cluster": ["here", "local:0", "local:", "tcp://host", "http://host:80", "c.json", "a\0.yaml", None, 3, b"local"],
    "every": [0, -1.0, math.nan, math.inf, "60", None, True],
    "spill": [None, 3, b"folder", True, "a\0b"],
    "progress": [0, "yes", None],
    "picture": ["p.jpg", "p", None, 3, b"p.png"],
    "input": [",", "a,", " ", None, 3, ("a",)],
    "output": [",", "a,,b", " , b", None, 3, ["a"]],
    "picture_inputs": ["0", "0,0", "0,1,2", "a,b", "-1,0", "0, 1", " ", "\u0661,2", "0,99999999999", None, (0, 1)],
}  # fmt: skip


def test_every_option_has_wrong_values_here() -> None:
    """None is left out of the test below."""
    assert set(WRONG) == set(ABOUT) == {f.name for f in fields(Options)}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_refused_in_one_line(name: str) -> None:
    """The line names the option and what was expected, for `Options` and `verify` alike."""
    for value in WRONG[name]:
        with pytest.raises(InputError) as caught:
            Options(**{name: value})
        said = str(caught.value)
        assert said.startswith(f"option {name} = ") and said.endswith(f": expected {ABOUT[name].kind.values}")
        assert len(said.splitlines()) == 1 and len(said) < 320
        with pytest.raises(InputError) as again:
            hypersplit.verify("no.onnx", "no.vnnlib", **{name: value})
        assert str(again.value) == said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 1), ("timeout", np.float32(2.5)), ("timeout", Fraction(1, 3)), ("timeout", 1e-300),
        ("nodes", np.int64(7)), ("jobs", 1024), ("seed", 2**63 - 1), ("batch", 0), ("log", Path("log.txt")),
        ("log", ""), ("picture", Path("p.PNG")), *(("rule", rule) for rule in ("auto", *RULES)),
    ],
)  # fmt: skip
def test_right_values_are_taken(name: str, value: Any) -> None:
    """Numbers of numpy and paths among them."""
    assert getattr(Options(**{name: value}), name) == value


@pytest.mark.parametrize("where", ["", "local", "local:12", "tcp://10.0.0.1:8786", "tls://head:8786", "a b/c.yaml"])
def test_places_of_clusters(where: str) -> None:
    """This machine, a scheduler, or a file; pictures are drawn by one process."""
    assert Options(cluster=where).cluster == where
    if where:
        with pytest.raises(InputError, match="nodes of a cluster cannot be drawn"):
            Options(cluster=where, picture="p.png")


def test_inputs_of_no_picture_are_refused() -> None:
    """They would have no effect."""
    with pytest.raises(InputError, match="there is no picture"):
        Options(picture_inputs="0,1")
    assert Options(picture="p.png", picture_inputs="0,1").picture_inputs == "0,1"


def test_unknown_names_are_told_their_neighbours() -> None:
    """In Python as on the command line."""
    with pytest.raises(InputError, match="option 'time_out': no option has this name; did you mean timeout"):
        hypersplit.verify("no.onnx", "no.vnnlib", time_out=5)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="option 'inputs': .* did you mean input or picture_inputs"):
        read("inputs", "0,1")
    with pytest.raises(InputError, match="options = 60: expected Options"):
        hypersplit.verify("no.onnx", "no.vnnlib", 60)  # type: ignore[arg-type]


def test_the_typed_arguments_are_the_fields() -> None:
    """`OptionValues`, by which type checkers see wrong names, has the names, order and types of `Options`."""
    assert list(get_type_hints(OptionValues)) == [f.name for f in fields(Options)]
    assert get_type_hints(OptionValues) == get_type_hints(Options)
    assert OptionValues.__required_keys__ == frozenset()
    assert get_type_hints(hypersplit.verify)["overrides"].__args__ == (OptionValues,)


def literals(kind: Any) -> list[str]:
    """The words of a type of words, in unions too; [] for other types."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    args = get_args(kind) if get_origin(kind) is Union else ()
    return [word for arg in args for word in literals(arg)]


@pytest.mark.parametrize("name", ABOUT)
def test_types_and_checks_agree(name: str) -> None:
    """A type of words has the words that the check takes, and defaults are of their own kind."""
    kind = ABOUT[name].kind
    words = literals(get_type_hints(Options)[name])
    assert all(kind.takes(word) for word in words)
    if words:
        *others, last = words
        assert kind.values == f"{', '.join(others)} or {last}"
    assert kind.takes(getattr(Options(), name))


def test_texts_are_read_as_their_values() -> None:
    """As `--option NAME=VALUE` gives them."""
    texts = {"timeout": "2.5", "nodes": "7", "clip": "false", "rule": "rows-1", "log": "a=b", "picture_inputs": "3,1"}
    values = {name: read(name, text) for name, text in texts.items()}
    assert values == {
        "timeout": 2.5, "nodes": 7, "clip": False, "rule": "rows-1", "log": "a=b", "picture_inputs": "3,1"
    }  # fmt: skip


def test_single_options_are_set_over_others() -> None:
    """`verify(net, prop, options, seed=2)` keeps what the options say else."""
    assert changed(Options(seed=1, jobs=3), {"seed": 2}) == Options(seed=2, jobs=3)
    assert changed(None, {}) == Options()
    assert METHODS == ("auto", "split", "milp")


def test_every_rule_says_what_it_splits() -> None:
    """The table of rules is complete, and its two kinds share none."""
    assert tuple(MEANINGS) == RULES == (*INPUT_RULES, *PHASE_RULES)
    assert len(set(RULES)) == len(RULES)
