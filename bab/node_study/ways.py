"""The ways to bound nodes that the study sets side by side: one relaxation in all of them, or what the default does.

    linear         linear bounds alone
    slopes         optimised slopes
    lp             the triangle LP
    rows           the LP, then the LP with rows of several neurons
    partial-milp   the LP, then SCIP with a few binaries, proved by the conflict search
    scip           SCIP with all binaries in every node that linear bounds leave open, proved in the same way
    default        whatever pays, SCIP at the root included
"""

from __future__ import annotations

from ..run.options import OptionValues

__all__ = ["BOUNDS", "rung_of"]

BOUNDS: dict[str, OptionValues] = {
    "default": {},
    "linear": {"method": "split", "node_bounds": "linear", "closing": "never"},
    "slopes": {"method": "split", "node_bounds": "slopes", "closing": "never"},
    "lp": {"method": "split", "node_bounds": "lp", "closing": "never"},
    "rows": {"method": "split", "node_bounds": "rows", "closing": "never"},
    "partial-milp": {"method": "split", "node_bounds": "partial-milp", "closing": "never"},
    "scip": {"method": "split", "node_bounds": "linear", "closing": "always"},
}


def rung_of(way: str) -> str:
    """The rung that a way is about, as statistics call it; one that counts nothing where it is about none."""
    return {"scip": "milp"}.get(way, way).replace("-", "_")
