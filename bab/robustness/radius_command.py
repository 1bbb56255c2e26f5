"""`hypersplit radius`: the certified and the attacked radius of one input, in words, as JSON, as a picture."""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

import numpy as np

from ...instances.errors import InputError
from ...instances.files import spare
from ...instances.network import Array, Network
from ...instances.onnx.reader import read_network
from ..run.arguments import given_options, options_from
from ..run.exit_codes import DONE, UNDECIDED
from ..run.flags import OUTSIDE_ROBUSTNESS
from ..run.options import Options
from .inputs import read_input
from .preparation import Preparation
from .question import Range, whole_range
from .radius import Radius, radii, radius
from .radius_picture import check_picture, draw_picture

__all__ = ["prepared_range", "radius_command", "robustness_options", "rounded"]

NORM_NAMES = {np.inf: "l-inf", 2: "l2", 1: "l1"}
DIGITS = 6  # of a printed radius


def radius_command(args: argparse.Namespace) -> int:
    """The command; returns the exit code: 3 where it was interrupted, with what is known by then printed."""
    started = time.monotonic()
    options = robustness_options(args)
    outputs = {"picture": args.drawing} if args.drawing else {}
    spare([args.network, args.point], outputs)
    if args.drawing:
        check_picture(args.drawing)
    network = read_network(args.network)
    preparation = Preparation(args.scale, args.mean, args.std)
    raw = read_input(args.point, network, args.key, args.row)
    x, limits = preparation.of(raw, network), prepared_range(args.range, preparation, network)
    limits.holds(x, str(args.point))
    ask = radii if args.all else radius
    left = max(1e-2, options.timeout - (time.monotonic() - args.started))
    found: Any = ask(
        network, x, args.norm, args.label, limits.low, limits.high, args.tolerance, replace(options, timeout=left)
    )
    classes: dict[int, Radius] = found if args.all else {}
    least = _least(classes) if args.all else found
    least = replace(least, seconds=time.monotonic() - started)
    print(_json(least, classes, args.norm) if args.json else "\n".join(_lines(least, classes, args.norm)), flush=True)
    if args.drawing:
        draw_picture(args.drawing, network, x, least)
    return UNDECIDED if least.reason == "interrupted" else DONE


def robustness_options(args: argparse.Namespace) -> Options:
    """The options of the searches. Raises InputError for those that cannot be shared by many of them."""
    chosen = given_options(args)
    for name in chosen.keys() & OUTSIDE_ROBUSTNESS:
        raise InputError(f"option {name}: is of a single question; `verify` takes it")
    return options_from(args)


def prepared_range(given: tuple[float, float] | None, preparation: Preparation, network: Network) -> Range:
    """The range of a network's inputs, from that of the scaled numbers, as --range gives it."""
    if given is None:
        return whole_range(network.input_size)
    low, high = (preparation.normalised(np.full(network.input_size, end), network) for end in given)
    return whole_range(network.input_size, low, high)


def rounded(value: float, up: bool) -> str:
    """A radius with few digits, rounded to the side where it stays true."""
    if not math.isfinite(value):
        return str(value)
    way = ROUND_CEILING if up else ROUND_FLOOR
    return f"{float(Context(prec=DIGITS, rounding=way).create_decimal(Decimal(value))):.{DIGITS}g}"


def _least(classes: dict[int, Radius]) -> Radius:
    """The radius of all classes together: each side is the least one."""
    near = min(classes.values(), key=lambda r: r.attacked)
    weak = min(classes.values(), key=lambda r: r.certified)
    open_ = [r.reason for r in classes.values() if r.reason and r.certified < near.attacked]
    questions = sum(r.questions for r in classes.values())
    reason = "interrupted" if "interrupted" in open_ else open_[0] if open_ else ""
    return replace(near, certified=min(weak.certified, near.attacked), reason=reason, questions=questions)


def _lines(least: Radius, classes: dict[int, Radius], norm: float) -> list[str]:
    name, count = NORM_NAMES[norm], least.questions
    nearest = "no counterexample found"
    if least.attacked == 0.0:
        nearest = f"the network itself gives the input class {least.other}, or a tie"
    elif least.counterexample is not None:
        nearest = f"the nearest counterexample found is of class {least.other}"
    lines = [
        f"certified: {rounded(least.certified, False)}  no input within this {name} distance gets another class",
        f"attacked:  {rounded(least.attacked, True)}  {nearest}",
        f"class:     {least.label}",
        f"time:      {least.seconds:.2f} s, {count} question{'' if count == 1 else 's'} to the complete search",
    ]
    if least.reason:
        lines.append(f"reason:    {least.reason}")
    if classes:
        lines += ["", f"{'class':>5s}  {'certified':>12s}  {'attacked':>12s}  {'seconds':>8s}  reason"]
    for j, r in sorted(classes.items()):
        sides = f"{rounded(r.certified, False):>12s}  {rounded(r.attacked, True):>12s}"
        lines.append(f"{j:5d}  {sides}  {r.seconds:8.2f}  {r.reason}".rstrip())
    return lines


def _json(least: Radius, classes: dict[int, Radius], norm: float) -> str:
    fields = _fields(least) | {"norm": "inf" if norm == np.inf else str(int(norm))}
    if classes:
        fields["classes"] = {str(j): _fields(r) for j, r in sorted(classes.items())}
    return json.dumps(fields, allow_nan=False)


def _fields(r: Radius) -> dict[str, Any]:
    """Plain values; what is infinite is null."""

    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    def numbers(array: Array | None) -> list[float] | None:
        return None if array is None else array.tolist()

    return {
        "certified": number(r.certified), "attacked": number(r.attacked), "class": r.label, "nearest": r.other,
        "reason": r.reason, "questions": r.questions, "seconds": r.seconds, "counterexample": numbers(r.counterexample),
    }  # fmt: skip
