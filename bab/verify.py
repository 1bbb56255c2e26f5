"""From files (or objects built in memory) to a result: the one entry point of the library."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ..instances import memory
from ..instances.errors import InputError, PropertyError, ReplayError
from ..instances.judges.cross_check import Findings, cross_check
from ..instances.judges.replay import Replay, Witness
from ..instances.models.kinds import Model, load_model
from ..instances.network import Array, Network
from ..instances.property import InputSet, Property, Question
from ..instances.query import queries
from .answer import Answer, answer
from .many_sets import settle_together
from .run.limits import INTERRUPTIONS, Limits, cause
from .run.options import Options, OptionValues, changed
from .run.result import NO_CASE, Result
from .steps.candidates import Candidates
from .tree.evidence import Evidence, told
from .tree.progress import progress

if TYPE_CHECKING:
    from .drawing.picture import Picture

__all__ = ["verify"]

LOG = logging.getLogger("hypersplit")
NO_REPLAY = "no replay is possible, and the real-valued network has a counterexample"
MOST_CHECKED = 256  # input sets whose inputs are run in the file before `unsat`, evenly spread


def verify(
    network: Any,
    property: str | os.PathLike[str] | Property | Question,
    options: Options | None = None,
    *,
    input_shape: tuple[int, ...] | None = None,
    **overrides: Unpack[OptionValues],
) -> Result:
    """Decide whether some input of the property's input sets is sent into its forbidden outputs.

    network: path of an ONNX file (or of it with `.gz`), a Network, or whatever else `load_model` reads: ONNX bytes or
    ModelProto, a PyTorch module (with its `input_shape`), a Keras or scikit-learn model, a list of (weights, biases);
    property: path of a VNN-LIB file or its text, a Property, or what `Property.robustness` and its like return;
    options: see `Options`; each may also be given by its name, e.g. `timeout=60`. docs/options.md lists them.

    Returns a Result: `unsat` (the property holds for the real-valued network), `sat` with a replayed witness,
    `timeout`, or `unknown` with the reason.

    Raises InputError (NetworkError, PropertyError, UnsupportedOperatorError) for files that cannot be understood,
    and for options that do not exist or have no such value.
    """
    options = changed(options, overrides)
    limits = Limits(options)
    with _log_to(options.log), memory.ceiling(options.memory_mb):
        model, prop = _read(network, property, input_shape)
        net = model.network
        replay, picture = Replay(net, model.content), _picture(options, net, prop)
        try:
            result = _decide(replay, prop, options, limits, picture)
        except KeyboardInterrupt as stop:
            reason = cause(stop)
            verdict = "timeout" if reason == "time" else "unknown"
            result = Result(verdict, reason=reason, statistics=_final(Counter()), seconds=limits.elapsed)
        except MemoryError:
            result = Result("unknown", reason="memory", statistics=_final(Counter()), seconds=limits.elapsed)
        if replay.note:
            result = replace(result, notes=(*result.notes, replay.note))
        if result.witness:
            result = replace(result, counterexample=_as_called(result.witness, replay))
        return picture.drawn(result) if picture else result


def _read(
    network: Any, prop: str | os.PathLike[str] | Property | Question, input_shape: tuple[int, ...] | None
) -> tuple[Model, Property]:
    model = load_model(network, input_shape)
    net = model.network
    if isinstance(prop, Question):
        prop = prop.about(net.input_size, net.output_size)
    elif isinstance(prop, str) and "(" in prop and "assert" in prop:
        from ..instances.vnnlib.reader import parse_property

        prop = parse_property(prop, net.input_size, net.output_size, "VNN-LIB text")
    elif isinstance(prop, (str, os.PathLike)):
        from ..instances.vnnlib.reader import read_property

        prop = read_property(Path(prop), net.input_size, net.output_size)
    elif not isinstance(prop, Property):
        raise PropertyError(
            f"a property of type {type(prop).__name__}, expected a path, VNN-LIB text, a Property, or a Question"
        )
    if (prop.input_size, prop.output_size) != (net.input_size, net.output_size):
        raise PropertyError(
            f"{prop.source or 'property'}: {prop.input_size} inputs and {prop.output_size} outputs, but the network "
            f"{net.source or ''} has {net.input_size} and {net.output_size}"
        )
    return model, prop


def _as_called(witness: Witness, replay: Replay) -> Array:
    """The witness in the shape and type that the model is called with: both are exact."""
    if replay.model is None:
        return witness.input.reshape(replay.network.input_shape or (1, -1))
    return witness.input.astype(replay.session.dtype).reshape(replay.session.shape)


def _picture(options: Options, network: Network, prop: Property) -> Picture | None:
    if not options.picture:
        return None
    from .drawing.picture import Picture

    return Picture(options.picture, options.picture_inputs, network, prop)


def _decide(
    replay: Replay, prop: Property, options: Options, limits: Limits, picture: Picture | None
) -> Result:
    """Many input sets together, the others one after another; the first witness ends it, all must hold for `unsat`."""
    statistics: Counter[str] = Counter(queries=sum(bool(case.forbidden) for case in prop.cases))
    evidence: Counter[Evidence] = Counter()
    reasons: list[str] = []  # of queries that are open
    held, bound, counterexample = 0, np.inf, None
    rng = np.random.default_rng(options.seed)

    def result(verdict: str, reason: str, bound: float, witness: Witness | None = None) -> Result:
        numbers = {kind.words: count for kind, count in sorted(evidence.items()) if count}
        return Result(
            verdict, witness, bound, reason, numbers, _final(statistics), limits.elapsed,
            real_counterexample=None if verdict == "sat" else counterexample,
        )  # fmt: skip

    with progress(options.progress) as report:
        try:
            together = settle_together(prop, replay, options, limits, rng, report)
        except ReplayError as error:
            return result("unknown", f"{NO_REPLAY}: {error}", -np.inf)
        evidence += together.evidence
        _add(statistics, together.statistics)
        if together.witness and together.case:
            witness = _written(together.witness, together.case.region, replay, prop)
            return result("sat", "search", -np.inf, witness)
        bound = 0.0 if together.statistics["sets_together"] else bound
        asked = queries(replay.network, replace(prop, cases=tuple(together.left)))
        interrupted = together.stopped if together.stopped in INTERRUPTIONS else ""
        for number, query in enumerate(asked):
            if interrupted or (number and limits.exceeded()):
                bound = -np.inf  # of this set nothing is known
                break
            candidates = Candidates(query, replay, prop.joint, limits, rng)
            listeners = (picture.recorder(),) if picture else ()
            try:
                outcome: Answer = answer(query, candidates, options, report, listeners)
            except ReplayError as error:
                return result("unknown", f"{NO_REPLAY}: {error}", -np.inf)
            _add(statistics, outcome.statistics)
            evidence += outcome.evidence
            if picture:
                picture.keep(query)
            if outcome.witness:
                witness = _written(outcome.witness, query.region, replay, prop)
                return result("sat", outcome.reason, outcome.bound, witness)
            bound = min(bound, outcome.bound)
            held += outcome.holds
            if not outcome.holds:
                reasons.append(outcome.reason)
                interrupted = outcome.reason if outcome.reason in INTERRUPTIONS else ""
            if outcome.counterexample:
                counterexample, reasons = outcome.counterexample, [outcome.reason, *reasons]
    if held == len(asked):
        return _confirmed(result("unsat", told(evidence) or NO_CASE, bound), replay, prop, rng, limits)
    bound = bound if not replay.network.unmodelled else -np.inf
    reason = reasons[0] if reasons else interrupted or limits.exceeded()
    return result("timeout" if "time" in (reason, limits.exceeded()) else "unknown", reason, bound)


def _confirmed(
    result: Result, replay: Replay, prop: Property, rng: np.random.Generator, limits: Limits
) -> Result:
    """What becomes of an `unsat` once the file itself has been run at a few inputs of each input set."""
    findings, unmodelled = Findings(), replay.network.unmodelled
    cases = [case for case in prop.cases if case.forbidden]
    some = [cases[i] for i in np.unique(np.linspace(0, len(cases) - 1, min(len(cases), MOST_CHECKED)).astype(int))]
    asked = queries(replay.network, replace(prop, cases=tuple(some)))
    if replay.model is not None and asked:
        try:
            findings = cross_check(replay, asked, prop.joint, rng)
        except ReplayError as error:
            findings = Findings(note=f"not held against the file's own outputs: {error}")
    if findings.witness and findings.query:
        witness = _written(findings.witness, findings.query.region, replay, prop)
        how = "the file's own output at one of the inputs that are run before unsat"
        result = replace(result, verdict="sat", witness=witness, bound=-np.inf, reason=how)
    elif asked and (unmodelled or findings.doubt):
        result = replace(result, verdict="unknown", bound=-np.inf, reason=unmodelled or findings.doubt)
    notes = (findings.note,) if findings.note else ()
    return replace(result, notes=notes, seconds=limits.elapsed)


def _written(witness: Witness, region: InputSet, replay: Replay, prop: Property) -> Witness:
    """The witness with decimals that lie inside the intervals as the property writes them."""
    from ..instances.judges.decimals import written_inside

    dtype = np.float64 if replay.model is None else replay.session.dtype
    return written_inside(witness, region, prop.text, dtype)


def _add(total: Counter[str], more: Counter[str]) -> None:
    for name, value in more.items():
        total[name] = max(total[name], value) if name in ("depth", "unstable") else total[name] + value


def _final(statistics: Counter[str]) -> dict[str, float]:
    return {**statistics, "memory_mb": round(memory.peak_mb(), 1)}


@contextmanager
def _log_to(path: str | os.PathLike[str]) -> Iterator[None]:
    """Send the ladder's decisions to a file for the time of a run."""
    if not path:
        yield
        return
    try:
        handler = logging.FileHandler(path, mode="w")
    except OSError as error:
        raise InputError(f"option log = {path}: cannot be written: {error.strerror}") from error
    handler.setFormatter(logging.Formatter("%(relativeCreated)8.0f ms  %(message)s"))
    level = LOG.level
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(level)
        handler.close()
