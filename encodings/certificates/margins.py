"""The decision functions f_label - f_j on the pieces of points: values with their errors, rows by a backward pass."""

from __future__ import annotations

import numpy as np

from ...instances.network import Array
from ...instances.rounding import EPS
from .affine_pieces import Trace, pulled_back
from .questions import Question

__all__ = ["margin_values", "margins_at"]


@np.errstate(over="ignore", invalid="ignore")
def margin_values(question: Question, at: Trace) -> tuple[Array, Array]:
    """(f_label - f_j at the points in floats, bounds on their errors), each [B, classes - 1]."""
    y, errors, rows, others = at.pre[-1], at.errors[-1], np.arange(len(question.points)), question.others
    own, their = y[rows, question.labels][:, None], np.take_along_axis(y, others, axis=1)
    slack = errors[rows, question.labels][:, None] + np.take_along_axis(errors, others, axis=1)
    return own - their, slack + EPS * (np.abs(own) + np.abs(their) + slack)


def margins_at(question: Question, at: Trace, output_errors: Array) -> tuple[Array, Array, Array, Array]:
    """(values [B, classes - 1], rows [B, classes - 1, n], bounds on the rows' errors in norm, those on the values').

    output_errors: [B, classes], the norms of the outputs' rows' errors (`magnitudes`).
    """
    rows, others = np.arange(len(question.points)), question.others
    values, slack = margin_values(question, at)
    functions = np.zeros((*others.shape, question.network.output_size))
    functions[rows, :, question.labels] = 1.0
    np.put_along_axis(functions, others[:, :, None], -1.0, axis=2)
    normals = pulled_back(question.network, at.phases, functions)
    norm_errors = output_errors[rows, question.labels][:, None] + np.take_along_axis(output_errors, others, axis=1)
    return values, normals, norm_errors * (1.0 + EPS), slack
