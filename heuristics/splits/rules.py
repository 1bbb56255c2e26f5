"""The split rules by their names, with what each splits. Nothing slow is imported here: the command's help reads it."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["INPUT_RULES", "MEANINGS", "PHASE_RULES", "RULES", "Rule"]

InputRule = Literal["inputs", "axes", "longest-edge", "rows-1", "rows", "rows-composed"]
PhaseRule = Literal["phases", "phases-direct", "phases-babsr", "phases-fsb", "phases-pseudo", "phases-lp"]
Rule = Literal[InputRule, PhaseRule]

INPUT_RULES: tuple[InputRule, ...] = get_args(InputRule)  # these split the input set
PHASE_RULES: tuple[PhaseRule, ...] = get_args(PhaseRule)  # these split ReLUs
RULES: tuple[Rule, ...] = get_args(Rule)

MEANINGS: dict[Rule, str] = {
    "inputs": "axes and rows of all layers, the best score",
    "axes": "the axis along which the margin's bound falls most (smear)",
    "longest-edge": "the longest edge of the box",
    "rows-1": "rows of the first layer; axes once all of them are stable",
    "rows": "rows of all layers, deeper ones along the mean of the neuron's linear bounds; axes once none gains",
    "rows-composed": "the same neurons, deeper ones along the function that they are around a suspicious point",
    "phases": "the phase of a ReLU, by its total multiplier",
    "phases-direct": "the phase of a ReLU, by its own multiplier in the margin's bound",
    "phases-babsr": "the phase of a ReLU, by BaBSR",
    "phases-fsb": "the phase of a ReLU, by filtered smart branching: the best few by two scores are bounded",
    "phases-pseudo": "the phase of a ReLU, by its total multiplier times what its splits have won so far",
    "phases-lp": "the phase of a ReLU, by the multiplier of its triangle row in the node's LP",
}
