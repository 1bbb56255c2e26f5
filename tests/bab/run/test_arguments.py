"""Words of a command line become options, and options become words again."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from hypersplit.bab.command.cli import COMMANDS
from hypersplit.bab.run.arguments import given_options, option_words, options_from, parser
from hypersplit.bab.run.options import Options
from hypersplit.instances.errors import InputError


def parsed(words: str) -> argparse.Namespace:
    """Of a `verify` with two files."""
    return parser(COMMANDS).parse_args(["verify", "a.onnx", "b.vnnlib", *words.split()])


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("", {}), ("--timeout 5 --seed 3", {"timeout": 5.0, "seed": 3}),
        ("--option rule=axes --option trust_scip=true", {"rule": "axes", "trust_scip": True}),
        ("--option=batch=7 --method milp", {"batch": 7, "method": "milp"}),
    ],
)  # fmt: skip
def test_options_are_those_that_were_given(words: str, chosen: dict[str, Any]) -> None:
    """By flag or by name, and no others; what was not given is the default, the caller's before the class's."""
    args = parsed(words)
    assert given_options(args) == chosen
    assert options_from(args) == Options(**chosen)
    assert options_from(args, nodes=17) == Options(**{"nodes": 17} | chosen)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("--option rule", "expected NAME=VALUE"), ("--option no_such=1", "no_such"),
        ("--seed 1 --option seed=1", "option seed: given twice"), ("--option rule=best", "expected"),
    ],
)  # fmt: skip
def test_wrong_words_are_named(words: str, fault: str) -> None:
    """One line of an InputError."""
    with pytest.raises(InputError, match=fault) as caught:
        given_options(parsed(words))
    assert "\n" not in str(caught.value)


def test_options_survive_the_way_to_another_process() -> None:
    """Bools, numbers and words, written as words and read again."""
    chosen = {"rule": "rows-1", "trust_scip": False, "timeout": 0.125, "jobs": 2, "rows": "never"}
    assert given_options(parsed(" ".join(option_words(chosen)))) == chosen
