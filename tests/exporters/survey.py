"""Networks as the exporters of PyTorch, Keras and scikit-learn write them: what is read of them is what they compute.

    pip install -r tests/exporters/requirements.txt
    python tests/exporters/survey.py               all of them; ends with 1 where one is read or answered wrongly
    python tests/exporters/survey.py conv softmax  those whose names hold one of these words

Each network that is read is held against its framework at random points, and two small questions about it against the
framework's values at points of the question's box: the bound that is asked for lies between them in one, beyond them
in the other. Each that cannot be read is refused in one line that says why.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from exports import Case, Export  # noqa: E402
from keras_cases import keras_cases  # noqa: E402
from oracle import worst_margin  # noqa: E402
from scikit_cases import scikit_cases  # noqa: E402
from torch_cases import torch_cases  # noqa: E402

import hypersplit  # noqa: E402
from hypersplit import NetworkError  # noqa: E402
from hypersplit.instances.network import Network  # noqa: E402
from hypersplit.instances.onnx.reader import network_from_bytes  # noqa: E402

__all__ = ["all_cases", "fault_of"]

POINTS, RADIUS = 12, 0.3
TOLERANCE = 2e-4  # relative to the largest output: float32's rounding in sums of a few hundred terms
MOST_RELUS, MOST_INPUTS = 12, 4  # of what the oracle is asked


def all_cases() -> list[Case]:
    """Of every framework that is installed."""
    return [*torch_cases(), *keras_cases(), *scikit_cases()]


def fault_of(case: Case) -> str:
    """What is wrong with how a case is read and answered, "" for nothing."""
    export = case.make()
    try:
        network = network_from_bytes(export.content, case.name, outputs=export.outputs)
    except NetworkError as error:
        said = str(error)
        if "\n" in said or not re.search(case.refused or "$^", said):
            return f"refused: {said}"
        return ""
    if case.refused:
        return f"read, but expected to be refused for {case.refused!r}"
    return _reading(export, network) or ("" if network.readout else _answers(export, network))


def _reading(export: Export, network: Network) -> str:
    """Whether the network computes what the framework does; of a softmax at the end, its softmax."""
    rng = np.random.default_rng(0)
    for x in rng.normal(size=(POINTS, network.input_size)):
        given, read = export.run(x), network.evaluate(x)
        if network.readout:
            read = _softmax(read)
            given = np.exp(given) if "LogSoftmax" in network.operators else given
        if given.shape != read.shape or np.abs(given - read).max() > TOLERANCE * max(1.0, np.abs(read).max()):
            return f"reads {read[:4]} where the framework has {given[:4]}"
    return ""


def _softmax(values: np.ndarray) -> np.ndarray:
    shares = np.exp(values - values.max())
    return shares / shares.sum()


def _answers(export: Export, network: Network) -> str:
    rng = np.random.default_rng(1)
    centre = np.float32(rng.normal(size=network.input_size))
    box = np.float64(centre) - RADIUS, np.float64(centre) + RADIUS
    values = np.array([export.run(x)[0] for x in rng.uniform(*box, (40, network.input_size))])
    low, high = values.min(), values.max()
    room = 0.1 + high - low
    for bound in (0.5 * (low + high), high + 0.1 * room, high + 10 * room):
        upper = np.full(network.output_size, np.inf)
        lower = np.where(np.arange(network.output_size) == 0, bound, -np.inf)
        question = hypersplit.Property.reach(lower, upper, box)
        model = hypersplit.load_model(export.content) if not export.outputs else network
        result = hypersplit.verify(model, question, timeout=20.0, nodes=200)
        if result.verdict == "unsat" and high >= bound + TOLERANCE * max(1.0, abs(high)):
            return f"unsat, but an input reaches {high} >= {bound}"
        if result.verdict == "sat" and result.counterexample is not None:
            reached = export.run(np.float64(result.counterexample).ravel())[0]
            if reached < bound - TOLERANCE * max(1.0, abs(bound)):
                return f"sat, but the framework has {reached} < {bound} there"
        if result.verdict == "unknown" and bound < high:
            return f"unknown ({result.reason}), but an input reaches {high} >= {bound}"
        if wrong := _against_oracle(network, question, result.verdict):
            return wrong
    return ""


def _against_oracle(network: Network, question: hypersplit.Question, verdict: str) -> str:
    relus = sum(layer.size for layer in network.layers if layer.kind == "relu")
    if not network.piecewise_linear or relus > MOST_RELUS or network.input_size > MOST_INPUTS:
        return ""
    found = worst_margin(network, question.about(network.input_size, network.output_size).cases[0])
    worst = found[0] if found else 1
    if abs(worst) > TOLERANCE and verdict in ("sat", "unsat") and (verdict == "sat") != (worst <= 0):
        return f"{verdict}, but the exact worst margin is {float(worst)}"
    return ""


def main(words: list[str]) -> int:
    """Survey all cases whose names hold one of the words; returns the exit code."""
    read = refused = 0
    faults = []
    for case in all_cases():
        if words and not any(word in case.name for word in words):
            continue
        try:
            fault = fault_of(case)
        except Exception as error:
            fault = f"{type(error).__name__}: {(str(error).strip() or '?').splitlines()[0]}"
        read, refused = read + (not case.refused), refused + bool(case.refused)
        if fault:
            faults.append(case.name)
            print(f"{case.name}: {fault}", flush=True)
    print(f"{read} networks to be read and {refused} to be refused; {len(faults)} faults")
    return bool(faults)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
