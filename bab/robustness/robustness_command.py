"""`hypersplit robustness`: certified accuracy over a data set, as a table, a csv and a page."""

from __future__ import annotations

import argparse
import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ...instances.errors import InputError
from ...instances.files import read_model_bytes, spare
from ...instances.network import Array
from ...instances.onnx.reader import read_network
from ..run.exit_codes import DONE
from ..run.options import Options
from .answer_file import all_answers
from .data_set import read_data_set
from .preparation import Preparation
from .radius_command import NORM_NAMES, prepared_range, robustness_options
from .robustness_page import Page, counts, write_page
from .samples import STATUSES, Answer, Samples
from .vnnlib_files import write_questions

__all__ = ["robustness_command"]


def robustness_command(args: argparse.Namespace) -> int:
    """The command; returns the exit code."""
    options = _options(args)
    outputs = {"csv": args.csv, "html": args.html}
    read = [args.network, args.data, *filter(None, [args.labels])]
    spare(read, {name: path for name, path in outputs.items() if path})
    if args.resume and not args.csv:
        raise InputError("--resume needs --csv, the answers to go on with")
    if args.html and not args.html.parent.is_dir():
        raise InputError(f"--html {args.html}: no folder {args.html.parent}")
    if args.html and args.html.is_dir():
        raise InputError(f"--html {args.html}: a folder, expected the name of a file")
    network = read_network(args.network)
    data = read_data_set(args.data, args.labels, network, args.limit)
    preparation = Preparation(args.scale, args.mean, args.std)
    inputs, limits = preparation.of(data.raw, network), prepared_range(args.range, preparation, network)
    samples = Samples(network, args.norm, limits, args.epsilon, options)
    samples.check(inputs, data.labels)
    if args.vnnlib:
        count = write_questions(
            args.vnnlib, network, inputs, data.labels, samples.epsilons, args.norm, limits, options.timeout
        )  # fmt: skip
        print(f"{count} VNN-LIB files and their list: {args.vnnlib}")
    settings = _settings(args, options, inputs, data.labels)
    answers = all_answers(samples, inputs, data.labels, args.processes, args.csv, settings, args.resume)
    print("\n".join(_lines(answers, len(inputs), args.norm)), flush=True)
    if args.html:
        write_page(args.html, Page(samples, inputs, answers, NORM_NAMES[args.norm], str(args.network)))
        print(f"page: {args.html}")
    return DONE


def _options(args: argparse.Namespace) -> Options:
    """The options of one question; inputs side by side share the cores."""
    if args.processes > 1 and not any(text.startswith("jobs=") for text in args.option):
        args.option = [*args.option, f"jobs={max(1, (os.cpu_count() or 1) // args.processes)}"]
    return robustness_options(args)


def _settings(args: argparse.Namespace, options: Options, inputs: Array, labels: Array) -> dict[str, Any]:
    """What answers depend on, in plain values: those of another network or of other data are not gone on with."""
    given = hashlib.sha256(np.ascontiguousarray(inputs).tobytes() + np.ascontiguousarray(labels).tobytes())
    asked = {name: str(value) for name, value in asdict(options).items() if name not in ("jobs", "progress")}
    return {
        "network": hashlib.sha256(read_model_bytes(args.network)).hexdigest()[:16], "data": given.hexdigest()[:16],
        "norm": str(args.norm), "epsilon": list(args.epsilon), "range": args.range and list(args.range), **asked,
    }  # fmt: skip


def _lines(answers: Sequence[Answer], inputs: int, norm: float) -> list[str]:
    right = len({a.index for a in answers if a.status != "wrong"})
    heads = "".join(f"{status:>10s}" for status in STATUSES)
    name = NORM_NAMES[norm]
    lines = [
        f"inputs: {inputs}, the network is right on {right} ({right / inputs:.2%})", "",
        f"{name + ' distance':>14s}{heads}  certified accuracy  accuracy under attack   seconds",
    ]  # fmt: skip
    for epsilon, row in counts(answers).items():
        numbers = "".join(f"{row[status]:10d}" for status in STATUSES)
        robust, left = row["robust"] / inputs, (row["robust"] + row["unknown"]) / inputs
        seconds = math.fsum(a.seconds for a in answers if a.epsilon == epsilon)
        lines.append(f"{epsilon:14g}{numbers}  {robust:18.2%}  {left:21.2%}  {seconds:8.1f}")
    return lines
