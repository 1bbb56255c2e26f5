"""Small networks and random, often damaged properties as files, asked by the command line in this very process."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import small_files
import text_mutations
from model_mutations import mutated
from onnx import ModelProto
from vnnlib_formulas import satisfied

from hypersplit.bab.command.cli import main
from hypersplit.instances.onnx.reader import read_network

TRIED = 30  # inputs that are tried where the answer is unsat
LIMITS = ("--timeout", "8", "--option", "nodes=300", "--jobs", "1", "--json")


def outcome(seed: int) -> str:
    """What `verify` says; raises AssertionError where that is no verdict and no line, or wrong."""
    whole = seed % 3 == 0  # else damaged, or whole once in a while
    text, inputs, outputs, rng = text_mutations.drawn(seed * text_mutations.CHANGES if whole else seed)
    with tempfile.TemporaryDirectory() as folder:
        network, prop = Path(folder) / "net.onnx", Path(folder) / "prop.vnnlib"
        _write_network(network, inputs, outputs, rng)
        prop.write_text(text, encoding="utf-8", newline="")
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["verify", str(network), str(prop), *LIMITS])
        if code == 2:
            assert not out.getvalue() and len(err.getvalue().splitlines()) == 1, (out.getvalue(), err.getvalue())
            return "refused"
        assert code in (0, 1, 3) and not err.getvalue(), (code, out.getvalue(), err.getvalue())
        answer = json.loads(out.getvalue())
        assert {0: "unsat", 1: "sat"}.get(code, answer["verdict"]) == answer["verdict"], (code, answer)
        return _held(answer, network, text, rng)


def _write_network(path: Path, inputs: int, outputs: int, rng: np.random.Generator) -> None:
    """Two layers of a few ReLUs; one in four is damaged."""
    layers = [
        (rng.integers(-4, 5, (3, inputs)).astype(np.float32) / 4, rng.integers(-4, 5, 3).astype(np.float32) / 4),
        (rng.integers(-4, 5, (outputs, 3)).astype(np.float32) / 4, None),
    ]
    small_files.write_network(path, layers)
    if rng.random() < 0.25:
        path.write_bytes(mutated(ModelProto.FromString(path.read_bytes()), rng))


def _held(answer: dict[str, object], path: Path, text: str, rng: np.random.Generator) -> str:
    """Whether an answer is what the evaluator says; the verdict, or that the evaluator has no word for the text."""
    verdict, said = str(answer["verdict"]), text_mutations.in_version_1(text)
    if verdict not in ("sat", "unsat"):
        return verdict
    network = read_network(path)
    points = []
    if verdict == "sat":
        witness: Any = answer["witness"]
        if witness["rounded"]:
            return "sat of a rounded point"
        written = {int(i): float(decimal) for i, decimal in dict(witness["written"]).items()}
        points = [([written.get(i, v) for i, v in enumerate(witness["input"])], witness["output"])]
    else:
        tried = rng.integers(-9, 10, (TRIED, network.input_size)) / 4.0
        points = [(x, network.evaluate(x)) for x in tried]
    if network.unmodelled or network.readout:
        return f"{verdict} of another kind"
    for x, y in points:
        try:
            meant = satisfied(said, [Fraction(float(v)) for v in x], [Fraction(float(v)) for v in y])
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
            return f"{verdict} alone"
        assert meant == (verdict == "sat"), f"{verdict}, but {list(x)} -> {list(y)}"
    return verdict
