"""Before phases are split: the root's neurons are probed, disjunct by disjunct (`encodings/propagation/probing.py`).

A disjunct without a counterexample is a lemma. What holds of all counterexamples of each disjunct that is left, their
hull, is one, too: bounds for every node. The disjuncts whose bounds are nearest to a refutation come first, and past
the deadline those that are left get a contraction each.
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
from ..tree.evidence import Evidence
from .work import Work

__all__ = ["probe_root"]

LOG = logging.getLogger(__name__)
SHARE = 0.02  # of the time that is left


def probe_root(work: Work) -> None:
    """Probe all that is unstable on the root, for each disjunct that it still has to refute."""
    root, deadline, counts = work.tree.root, time.monotonic() + SHARE * work.limits.remaining, Counter[str]()
    margins = work.query.per_disjunct(work.inherited().margins)[0]
    duties = [k for k in np.argsort(-margins, kind="stable").tolist() if root.duty[0, k]]
    refuted, left = [], list[State]()
    for k in duties:
        node = root.node(0)
        probing = Probing(Propagation(work.query, node, k, work.options.kernel), State.of(work.query, node))
        if probing.run(deadline, math.inf):
            refuted.append(k)
        else:
            left.append(probing.state)
        counts += probing.counts
    lower = np.min([state.z_low for state in left], axis=0) if left else None
    upper = np.max([state.z_high for state in left], axis=0) if left else None
    work.tree.learn(Evidence.PROBING, refuted, lower, upper)
    work.counts += Counter({f"probing_{name}": count for name, count in counts.items()})
    LOG.info("probing: %d of %d disjuncts refuted, %s", len(refuted), len(duties), dict(counts))
