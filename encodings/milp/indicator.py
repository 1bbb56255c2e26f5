"""Indicator and SOS1 constraints: SCIP branches on the phases themselves, without big-M rows of ours.

Indicator: a = 0 -> y <= 0 and a = 1 -> s <= 0, each with a slack variable that SCIP adds. SOS1: at most one of y and s
is nonzero, no binary at all. Of both SCIP's LP knows little; the triangle is added, so that the relaxation starts where
that of big-M does. (Fischer and Pfetsch, *Branch-and-cut for linear programs with overlapping SOS1 constraints*, 2018,
on what SCIP makes of them.)
"""

from __future__ import annotations

from .model import Formulation, NetworkModel, Relu

__all__ = ["Indicator", "Sos1"]


class Indicator(Formulation):
    """Two indicator constraints a ReLU."""

    def tie(self, model: NetworkModel, relu: Relu) -> None:
        """a = 0 -> y <= 0, a = 1 -> s <= 0, and the triangle."""
        a = model.switch(relu)
        for half, active in ((relu.y, False), (relu.s, True)):
            row = model.constraint([(half, 1.0)], None, 0.0)
            made = model.scip.addConsIndicator(row, binvar=a[0], activeone=active)
            model.derive(model.term(model.scip.getSlackVarIndicator(made)), [(half, 1.0)])
        model.triangle(relu)


class Sos1(Formulation):
    """One SOS1 constraint a ReLU."""

    def tie(self, model: NetworkModel, relu: Relu) -> None:
        """{y, s} is SOS1, and the triangle."""
        model.scip.addConsSOS1([relu.y[0], relu.s[0]], weights=[1.0, 2.0])
        model.triangle(relu)
