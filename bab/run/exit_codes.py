"""The exit codes of the command `hypersplit`. README.md, docs/ and the help say the same, as a test sees to."""

from __future__ import annotations

__all__ = [
    "BAD_INPUT", "DONE", "HOLDS", "INTERNAL", "MEANINGS", "SENTENCE", "UNDECIDED", "VERDICT_CODES",
    "VIOLATED", "WRONG",
]  # fmt: skip

HOLDS = DONE = 0
VIOLATED = WRONG = 1  # `verify`; the commands that hold verdicts against known ones
BAD_INPUT = 2
UNDECIDED = 3  # interruptions too
INTERNAL = 4

VERDICT_CODES = {"unsat": HOLDS, "sat": VIOLATED, "unknown": UNDECIDED, "timeout": UNDECIDED}

# code: (of `verify`, `resume` and `merge`, of the other commands)
MEANINGS = {
    HOLDS: ("`unsat`", "done; of `bench` and `demo`: no verdict is wrong; of `run-job`: `closed`"),
    VIOLATED: ("`sat`", "of `bench` and `demo`: a verdict or a witness is wrong; of `run-job`: `sat`"),
    BAD_INPUT: ("bad input or usage (one line on stderr, no verdict)", "the same"),
    UNDECIDED: (
        "`unknown` or `timeout`",
        "interrupted; of `demo` also: some verdict is not known; of `run-job`: `open`",
    ),
    INTERNAL: ("an internal error", "the same"),
}
SENTENCE = "Exit codes: " + ", ".join(f"{code} {words}" for code, (words, _) in MEANINGS.items()) + "."
