"""From files (or objects built in memory) to a result: the one entry point of the library."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ..instances import memory
from ..instances.distinct import distinct
from ..instances.errors import InputError, ReplayError
from ..instances.judges.cross_check import Findings, cross_check
from ..instances.judges.replay import Content, Replay, Witness
from ..instances.network import Network
from ..instances.property import Case, Property
from ..instances.query import queries
from ..instances.rewriting.elimination import solved
from .jobs.job import Job
from .jobs.keeper import Keeper
from .jobs.run import candidates_of, run
from .jobs.saved import Saved
from .many_sets import Settled, Together, settle_together
from .reading import Properties, hold_types, read
from .run.algebra import one_thread_of_algebra
from .run.limits import INTERRUPTIONS, Limits, cause
from .run.options import Options, OptionValues, changed
from .run.result import Result
from .tree.progress import progress
from .tree.tree import Tree
from .verdict import Answers, final
from .workers.gather import helping

if TYPE_CHECKING:
    from .drawing.picture import Picture
    from .stages.work import Helpers

__all__ = ["checkpoint_file", "confirmed", "decide", "noted", "under", "verify"]

LOG = logging.getLogger("hypersplit")
NO_REPLAY = "no replay is possible, and the real-valued network has a counterexample"
MOST_SHOWN = 200  # characters of what a witness violates
MOST_CHECKED = 256  # input sets whose inputs are run in the file before `unsat`, evenly spread


def verify(
    network: Any,
    property: Properties,
    options: Options | None = None,
    *,
    input_shape: tuple[int, ...] | None = None,
    **overrides: Unpack[OptionValues],
) -> Result:
    """Decide whether some input of the property's input sets is sent into its forbidden outputs.

    network: path of an ONNX file (or of it with `.gz`), a Network, or whatever else `load_model` reads: ONNX bytes or
    ModelProto, a PyTorch module or Keras model (with its `input_shape`), a scikit-learn model, a list of (weights,
    biases); or several of these by the names that a VNN-LIB 2 property declares, as {"f": "f.onnx", "g": "g.onnx"};
    property: path of a VNN-LIB file or its text, a Property, or what `Property.robustness` and its like return;
    options: see `Options`; each may also be given by its name, e.g. `timeout=60`. docs/options.md lists them.

    Returns a Result: `unsat` (the property holds for the real-valued network), `sat` with a replayed witness,
    `timeout`, or `unknown` with the reason.

    Raises InputError (NetworkError, PropertyError, UnsupportedOperatorError) for files and models that cannot be
    understood, and for options that do not exist or have no such value.
    """
    options = changed(options, overrides)
    limits = Limits(options)
    with under(options):
        net, prop, content = read(network, property, options, input_shape)
        path = checkpoint_file(options.checkpoint)
        keeper = Keeper(Saved.fresh(net, prop, options, path is not None), limits, path)
        return decide(net, prop, keeper, content)


def decide(network: Network, prop: Property, keeper: Keeper, content: Content = None) -> Result:
    """Go on from what the keeper knows, within its limits, until there is a verdict or no time.

    The verdict is the whole property's, or of a part its own: `unsat` if nothing is left of it.
    content: what is run to confirm a witness, see Replay; None for the network's own file.
    Raises PropertyError where the property declares other types than the file has.
    """
    limits = keeper.limits
    options, result = limits.options, None
    if options.picture and keeper.wanted and any(solved(case.region) for case in prop.cases):
        raise InputError("option picture: input sets with equalities cannot be drawn in a run that goes on later")
    replay, picture = Replay(network, content), _picture(options, network, prop)
    hold_types(prop, replay)
    try:
        with helping(options, network, prop) as helpers:
            result = _decide(replay, prop, keeper, picture, helpers)
    except KeyboardInterrupt as stop:
        reason = cause(stop)
        verdict = "timeout" if reason == "time" else "unknown"
        result = Result(verdict, reason=reason, statistics=final(Counter(nodes=keeper.nodes)), seconds=limits.elapsed)
    except MemoryError:
        counts = final(Counter(nodes=keeper.nodes))
        result = Result("unknown", reason="memory", statistics=counts, seconds=limits.elapsed)
    result = noted(result, prop, replay.note)
    try:
        keeper.last(result)
    except KeyboardInterrupt:  # the file stays what it was
        keeper.note = f"{keeper.path}: not written at the end: interrupted"
    if keeper.note:
        result = replace(result, notes=(*result.notes, keeper.note))
    if result.witness:
        result = replace(result, counterexample=replay.as_called(result.witness.input))
    return picture.drawn(result) if picture else result


def checkpoint_file(path: str | os.PathLike[str]) -> Path | None:
    """Where a new checkpoint is to be written, None for nowhere.

    Raises InputError where there is something already, an earlier run perhaps, and where nothing can be written.
    """
    if not path:
        return None
    from .jobs.sealed import BEFORE, NEW

    place = Path(path)
    try:
        for taken in (place, place.with_name(place.name + BEFORE)):
            if taken.exists() or taken.is_symlink():
                raise InputError(f"option checkpoint = {path}: {taken} exists; `hypersplit resume` goes on with a file")
        fresh = place.with_name(place.name + NEW)  # by the name of unfinished ones: `place` is never but a whole file
        fresh.touch()
        fresh.unlink()
    except OSError as error:
        raise InputError(f"option checkpoint = {path}: cannot be written: {error.strerror or error}") from error
    return place


@contextmanager
def under(options: Options) -> Iterator[None]:
    """The log, the memory's ceiling and the one thread of linear algebra of a run."""
    with _log_to(options.log), memory.ceiling(options.memory_mb), one_thread_of_algebra():
        yield


def noted(result: Result, prop: Property, replay_note: str = "") -> Result:
    """The result with what there is to say of the property, of the run of the file, and of what a witness violates."""
    notes = tuple(note for note in (*prop.notes, prop.contradiction, replay_note, _violated(result, prop)) if note)
    return replace(result, notes=(*result.notes, *notes))


def _picture(options: Options, network: Network, prop: Property) -> Picture | None:
    if not options.picture:
        return None
    from .drawing.picture import Picture

    return Picture(options.picture, options.picture_inputs, network, prop)


def _decide(
    replay: Replay, prop: Property, keeper: Keeper, picture: Picture | None, helpers: Helpers | None = None
) -> Result:
    """Many input sets together, the others one after another; the first witness ends it, all must hold for `unsat`."""
    answers = Answers(prop, keeper, replay.network.unmodelled)
    with progress(keeper.limits.options.progress) as draw:

        def report(tree: Tree) -> None:
            draw(tree)
            keeper.report(tree)

        try:
            found = _together_first(answers, replay, report) or _one_by_one(answers, replay, picture, helpers, report)
        except ReplayError as error:
            return answers.result("unknown", f"{NO_REPLAY}: {error}", -np.inf)
    if found:
        return found
    result = answers.without_witness()
    if result.verdict != "unsat" or keeper.saved.parts:
        return result
    return confirmed(result, replay, prop, keeper.rng, keeper.limits)


def _together_first(answers: Answers, replay: Replay, report: Callable[[Tree], None]) -> Result | None:
    """`sat` where asking about many input sets at once finds a witness."""
    if answers.keeper.saved.together:
        return None
    found = _together(replay, answers.prop, answers.keeper, report)
    if found.witness and found.case:
        return answers.result("sat", "search", -np.inf, _written(found.witness, found.case, replay, answers.prop))
    answers.interrupted = found.stopped if found.stopped in INTERRUPTIONS else ""
    return None


def _one_by_one(
    answers: Answers, replay: Replay, picture: Picture | None, helpers: Helpers | None, report: Callable[[Tree], None]
) -> Result | None:
    """`sat` where a search over one of the input sets that are left finds a witness."""
    prop, keeper = answers.prop, answers.keeper
    for number, k in enumerate(np.flatnonzero(~keeper.saved.held).tolist()):
        job = keeper.job(k)
        if answers.interrupted or (number and keeper.limits.exceeded()):
            answers.untouched(job)
            continue
        candidates = candidates_of(k, replay, prop, keeper.limits, keeper.rng, whole=picture is not None)
        if candidates is None:
            keeper.over_empty(k)
            continue
        query = candidates.query
        outcome = run(
            job or Job.fresh(k, query), candidates, report, (picture.recorder(),) if picture else (), keeper.stop,
            partial(keeper.watch, case=k, query=query), helpers=helpers, shelf=keeper.shelf,
        )  # fmt: skip
        found = outcome.answer
        keeper.over(k, outcome)
        if picture:
            picture.keep(query)
        if found.witness:
            answers.open(found)
            witness = _written(found.witness, prop.cases[k], replay, prop)
            return answers.result("sat", found.reason, found.bound, witness)
        answers.searched(k, query, found)
    return None


def _together(replay: Replay, prop: Property, keeper: Keeper, report: Callable[[Tree], None]) -> Together:
    """Ask about the input sets that nobody has begun with, as far as many of them can be asked at once."""
    begun = {job.case for job in keeper.saved.jobs}
    asked = [k for k in np.flatnonzero(~keeper.saved.held).tolist() if k not in begun]

    def watch(settled: Callable[[], Settled]) -> None:
        def here() -> Settled:
            held, evidence, statistics = settled()
            return [asked[i] for i in held], evidence, statistics

        keeper.watch_sets(here)

    some = replace(prop, cases=tuple(prop.cases[k] for k in asked))
    limits = keeper.limits
    found = settle_together(some, replay, limits.options, limits, keeper.rng, report, watch)
    still = set(map(id, found.left))
    held = [k for k in asked if id(prop.cases[k]) not in still] if not found.witness else []
    keeper.over_together(held, found.evidence, found.statistics, found.stopped not in INTERRUPTIONS)
    return found


def confirmed(
    result: Result, replay: Replay, prop: Property, rng: np.random.Generator, limits: Limits
) -> Result:
    """What becomes of an `unsat` once the file itself has been run at a few inputs of each input set."""
    findings, unmodelled = Findings(), replay.network.unmodelled
    cases = [case for case in prop.cases if case.forbidden]
    some = [cases[i] for i in distinct(np.linspace(0, len(cases) - 1, min(len(cases), MOST_CHECKED)).astype(int))]
    asked = queries(replay.network, replace(prop, cases=tuple(some)))
    if replay.model is not None and asked:
        try:
            findings = cross_check(replay, asked, prop.joint, rng)
        except ReplayError as error:
            findings = Findings(note=f"not held against the file's own outputs: {error}")
    if findings.witness and findings.query:
        witness = _written(findings.witness, findings.query.case, replay, prop)
        how = "the file's own output at one of the inputs that are run before unsat"
        result = replace(result, verdict="sat", witness=witness, bound=-np.inf, reason=how)
    elif asked and (unmodelled or findings.doubt):
        result = replace(result, verdict="unknown", bound=-np.inf, reason=unmodelled or findings.doubt)
    notes = (findings.note,) if findings.note else ()
    return replace(result, notes=notes, seconds=limits.elapsed)


def _written(witness: Witness, case: Case, replay: Replay, prop: Property) -> Witness:
    """The witness with decimals inside the intervals as the property writes them, and with what it violates."""
    from ..instances.judges.decimals import written_inside
    from ..instances.vnnlib.writer import forbidden_text

    kinds = {np.float64} if replay.model is None else {kind for _, kind in replay.session.grid}
    dtype = kinds.pop() if len(kinds) == 1 else np.float64
    dtype = dtype if np.dtype(dtype).kind == "f" else np.float64
    number = next((i for i, other in enumerate(prop.cases) if other is case), 0)
    forbidden = forbidden_text(prop, case, witness.disjunct)
    witness = written_inside(replace(witness, case=number, forbidden=forbidden), case.region, prop, dtype)
    if witness.real is None:
        return witness
    from ..instances.judges.equal_decimals import written_equal

    return written_equal(witness, prop, dtype)


def _violated(result: Result, prop: Property) -> str:
    """Which input set and which disjunct a witness violates, where there are several."""
    witness = result.witness
    if witness is None:
        return ""
    sets, disjuncts = len(prop.cases), len(prop.cases[witness.case].forbidden)
    which = [f"input set {witness.case + 1} of {sets}"] if sets > 1 else []
    which += [f"disjunct {witness.disjunct + 1} of {disjuncts}"] if disjuncts > 1 else []
    forbidden = witness.forbidden if len(witness.forbidden) <= MOST_SHOWN else witness.forbidden[:MOST_SHOWN] + " ..."
    return f"the witness is in {', '.join(which)}: {forbidden}" if which else ""


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
