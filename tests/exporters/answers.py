"""Whether a network is read and answered as its framework computes it."""

from __future__ import annotations

import re

import numpy as np
from exports import Case, Export, NotExported
from oracle import worst_margin

import hypersplit
from hypersplit import NetworkError
from hypersplit.instances.network import Network
from hypersplit.instances.onnx.reader import network_from_bytes

__all__ = ["outcome"]

POINTS, RADIUS = 12, 0.3
TOLERANCE = 2e-4  # relative to the largest output: float32's rounding in sums of a few hundred terms
MOST_RELUS, MOST_INPUTS = 12, 4  # of what the oracle is asked
LIMITS = {"timeout": 120.0, "nodes": 200}


def outcome(case: Case) -> tuple[str, str]:
    """(how a case is read, what is wrong with how it is read and answered, "" for nothing)."""
    try:
        export = case.make()
    except NotExported as error:
        return f"not exported: {error}", ""
    try:
        network = network_from_bytes(export.content, "file", outputs=export.outputs)
    except NetworkError as error:
        said = str(error)
        expected = case.refused and "\n" not in said and re.search(case.refused, said)
        return f"refused: {said}", "" if expected else f"refused: {said}"
    how = "order" if network.readout else "exact" if network.piecewise_linear else "bounded"
    if case.refused:
        return how, f"read, but expected to be refused for {case.refused!r}"
    return how, _reading(export, network) or ("" if network.readout else _answers(export, network))


def _reading(export: Export, network: Network) -> str:
    """Whether the network computes what the framework does; of a softmax at the end, its softmax."""
    rng = np.random.default_rng(0)
    for x in rng.normal(size=(POINTS, network.input_size)):
        given, read = export.run(x), network.evaluate(x)
        if network.readout:
            read = network.readout.of(read[None])[0]
        if given.shape != read.shape or np.abs(given - read).max() > TOLERANCE * max(1.0, np.abs(read).max()):
            return f"reads {read[:4]} where the framework has {given[:4]}"
    return ""


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
        result = hypersplit.verify(model, question, **LIMITS)
        if result.verdict == "unsat" and high >= bound + TOLERANCE * max(1.0, abs(high)):
            return f"unsat, but an input reaches {high} >= {bound}"
        if result.verdict == "sat" and result.counterexample is not None:
            reached = export.run(np.float64(result.counterexample).ravel())[0]
            if reached < bound - TOLERANCE * max(1.0, abs(bound)):
                return f"sat, but the framework has {reached} < {bound} there"
        if result.verdict == "unknown" and bound < high and not network.unmodelled:
            return f"unknown ({result.reason}), but an input reaches {high} >= {bound}"
        if wrong := _against_oracle(network, question, result.verdict):
            return wrong
    return ""


def _against_oracle(network: Network, question: hypersplit.Question, verdict: str) -> str:
    """The exact answer of a small network of ReLUs, where it is not within float32's rounding of the bound."""
    relus = sum(layer.size for layer in network.layers if layer.kind == "relu")
    if not network.piecewise_linear or relus > MOST_RELUS or network.input_size > MOST_INPUTS:
        return ""
    found = worst_margin(network, question.about(network.input_size, network.output_size).cases[0])
    worst = found[0] if found else 1
    if abs(worst) > TOLERANCE and verdict in ("sat", "unsat") and (verdict == "sat") != (worst <= 0):
        return f"{verdict}, but the exact worst margin is {float(worst)}"
    return ""
