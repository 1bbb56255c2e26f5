"""Whether two properties ask the same, number by number."""

from __future__ import annotations

import numpy as np

from hypersplit.instances.property import Property

__all__ = ["same"]


def same(a: Property, b: Property) -> bool:
    """Whether two properties have the same cases."""
    if (len(a.cases), a.joint, a.input_size, a.output_size) != (len(b.cases), b.joint, b.input_size, b.output_size):
        return False
    arrays = []
    for prop in (a, b):
        found = []
        for case in prop.cases:
            r = case.region
            found += [r.lower, r.upper, r.rows, r.offsets, r.strict_lower, r.strict_upper, r.strict]
            found += [x for p in case.forbidden for x in (p.rows, p.rhs, p.strict)]
        arrays.append(found)
    return len(arrays[0]) == len(arrays[1]) and all(map(np.array_equal, *arrays))
