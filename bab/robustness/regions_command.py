"""`hypersplit regions`: the regions around the inputs of a data set as VNN-LIB files with their list.

A region is a question of `question`: does the network keep the label of x within eps? As in the papers' experiments it
is asked of the inputs that the network is right on, the first N of the data set say, and nothing is answered here:
`bench`, `study kpoly --instances` and other verifiers read the list.
"""

from __future__ import annotations

import argparse

import numpy as np

from ...instances.errors import InputError
from ...instances.judges.replay import Replay
from ...instances.network import Array, Network
from ...instances.onnx.reader import read_network
from ..run.exit_codes import DONE
from ..run.options import Options
from .data_set import read_data_set
from .preparation import Preparation
from .question import classifier_output
from .radius_command import prepared_range
from .samples import Samples
from .vnnlib_files import LIST, write_questions

__all__ = ["regions_command"]


def regions_command(args: argparse.Namespace) -> int:
    """The command; returns the exit code. Raises InputError where a list is there already."""
    if (args.out / LIST).exists():
        raise InputError(f"--out {args.out}: has a list {LIST} already")
    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"--out {args.out}: not a folder")
    network = read_network(args.network)
    data = read_data_set(args.data, args.labels, network, args.limit)
    preparation = Preparation(args.scale, args.mean, args.std)
    inputs, limits = preparation.of(data.raw, network), prepared_range(args.range, preparation, network)
    samples = Samples(network, args.norm, limits, args.epsilon, Options())
    samples.check(inputs, data.labels)
    right = _right(network, samples.replay, inputs, data.labels)
    chosen = np.arange(len(inputs)) if args.all else np.flatnonzero(right)
    count = write_questions(
        args.out, network, inputs[chosen], data.labels[chosen], samples.epsilons, args.norm, limits, args.timeout,
        chosen.tolist(),
    )  # fmt: skip
    print(f"inputs: {len(inputs)}, the network is right on {int(right.sum())}")
    print(f"{count} VNN-LIB files and their list: {args.out / LIST}")
    return DONE


def _right(network: Network, replay: Replay, inputs: Array, labels: Array) -> Array:
    """[N] bool: the file gives the label, and no tie."""
    outputs = np.array([classifier_output(replay, x, f"input {i}") for i, x in enumerate(inputs)])
    outputs = outputs.reshape(len(inputs), network.output_size)
    own = np.take_along_axis(outputs, labels[:, None], axis=1)
    return np.asarray((outputs < own).sum(axis=1) == network.output_size - 1)
