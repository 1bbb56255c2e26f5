"""Big-M: one binary and two rows a ReLU (Tjeng, Xiao and Tedrake, *Evaluating robustness of neural networks with mixed
integer programming*, 2019).

With z in [l, u], y = max(0, z), s = y - z and a = 1 where the neuron is active,
    0 <= y <= u a,    0 <= s <= -l (1 - a).
With a continuous these two rows are the triangle. SCIP's flow cover and mixed-integer rounding cuts strengthen them.
"""

from __future__ import annotations

from .model import Formulation, NetworkModel, Relu

__all__ = ["BigM"]


class BigM(Formulation):
    """The plain formulation."""

    def tie(self, model: NetworkModel, relu: Relu) -> None:
        """y <= u a, s <= -l (1 - a)."""
        a = model.switch(relu)
        model.row([(relu.y, 1.0), (a, -relu.high)], None, 0.0)
        model.row([(relu.s, 1.0), (a, -relu.low)], None, -relu.low)
