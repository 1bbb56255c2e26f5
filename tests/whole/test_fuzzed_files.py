"""A few seeds of what `scripts/fuzz_files.py` goes through by the million: texts, and files asked by the command."""

from __future__ import annotations

from collections import Counter

import asked_files
import text_mutations


def test_texts_are_refused_in_a_line_or_read_as_they_say() -> None:
    """Whole and damaged texts of both versions: a PropertyError of one line, or the evaluator's own meaning."""
    found: Counter[str] = Counter()
    for seed in range(120):
        try:
            found[text_mutations.outcome(*text_mutations.drawn(seed))] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__} {error}") from error
    assert min(found["refused"], found["the same"]) > 20, found


def test_the_command_answers_or_refuses_whatever_files_it_is_given() -> None:
    """Exit code 2 and one line, or a verdict that the evaluator does not contradict."""
    found: Counter[str] = Counter()
    for seed in range(25):
        try:
            found[asked_files.outcome(seed)] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__} {error}") from error
    assert min(found["refused"], found["sat"], found["unsat"]) > 0, found
