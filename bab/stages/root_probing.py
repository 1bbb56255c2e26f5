"""Before phases are split: the root's neurons are probed, disjunct by disjunct (`encodings/propagation/probing.py`).

A disjunct without a counterexample is a lemma. What holds of all counterexamples of each disjunct that is left, their
hull, is one, too: bounds for every node. The disjuncts whose bounds are nearest to a refutation come first; where one
of them fixes no phase, those that are further away are not tried, unless probing was asked for.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter

import numpy as np

from ...encodings.propagation.contraction import Propagation
from ...encodings.propagation.probing import Probing
from ...encodings.propagation.state import State
from ...heuristics.policy import probes_root
from ..tree.evidence import Evidence
from .work import Work

__all__ = ["probe_root"]

LOG = logging.getLogger(__name__)
SHARE = 0.02  # of the time that is left


def probe_root(work: Work) -> None:
    """Probe the root of a tree of phases, where the policy has it worth while."""
    root, asked = work.tree.root, work.options.probing == "always"
    unstable = work.unstable(root.pre_lower, root.pre_upper)
    if work.facts is None or not probes_root(work.facts, unstable, work.options.probing):
        return
    deadline, counts = time.monotonic() + SHARE * work.limits.remaining, Counter[str]()
    margins = work.query.per_disjunct(work.inherited().margins)[0]
    asked_for = [k for k in np.argsort(-margins, kind="stable").tolist() if root.duty[0, k]]
    refuted, left = [], list[State]()
    for k in asked_for:
        node = root.node(0)
        probing = Probing(Propagation(work.query, node, k, work.options.kernel), State.of(work.query, node))
        if probing.run(deadline, math.inf if asked else 1):
            refuted.append(k)
        else:
            left.append(probing.state)
        counts += probing.counts
        if time.monotonic() >= deadline or not (asked or probing.empty or probing.counts["fixed"]):
            break
    whole = len(left) > 0 and len(refuted) + len(left) == len(asked_for)
    lower = np.min([state.z_low for state in left], axis=0) if whole else None
    upper = np.max([state.z_high for state in left], axis=0) if whole else None
    work.tree.learn(Evidence.PROBING, refuted, lower, upper)
    work.counts += Counter({f"probing_{name}": count for name, count in counts.items()})
    LOG.info("probing: %d of %d disjuncts refuted, %s", len(refuted), len(asked_for), dict(counts))
