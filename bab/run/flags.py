"""Which options have flags with which commands, and which commands and studies take which flags."""

from __future__ import annotations

__all__ = [
    "BENCH_FLAGS", "CAPABILITIES", "LISTED", "OUTSIDE_BENCH", "OUTSIDE_PARTS", "OUTSIDE_ROBUSTNESS", "PART_FLAGS",
    "ROBUSTNESS_FLAGS",
]  # fmt: skip

# studies that take --instances
LISTED = (
    "partition-rules", "branching-rules", "ladder", "kpoly", "formulations", "node-bounds", "polyhedral-certificates",
    "barrier-robust-error", "barrier-eps",
)  # fmt: skip
# options that have their flags with `bench`, too
BENCH_FLAGS = ("memory_mb", "seed", "method", "trust_scip", "workers", "cluster")
# options that have their flags with `run-job`
PART_FLAGS = ("timeout", "memory_mb", "jobs", "workers", "cluster", "seed", "trust_scip", "every", "spill", "log")
OUTSIDE_PARTS = ("checkpoint", "picture", "picture_inputs")  # options that it refuses
OUTSIDE_BENCH = {  # options that its instances cannot share, each with what to do instead
    "timeout": "the lists tell each instance's, --timeout-cap lowers them",
    "log": "one file for all instances; `verify` writes it",
    "checkpoint": "one file for all instances; `verify` writes it",
    "every": "there is no checkpoint",
    "picture": "one file for all instances; `verify` draws it",
    "picture_inputs": "one file for all instances; `verify` draws it",
    "input": "the lists' networks have inputs of different names; `verify` chooses",
    "output": "the lists' networks have outputs of different names; `verify` chooses",
    "progress": "instances have no terminal of their own",
}
ROBUSTNESS_FLAGS = ("memory_mb", "seed", "method", "trust_scip")  # of radius and robustness
OUTSIDE_ROBUSTNESS = (  # options of a single question
    "log", "checkpoint", "every", "picture", "picture_inputs", "input", "output", "progress",
)  # fmt: skip
CAPABILITIES = (  # that `supports` tells of, as the VNN-LIB standard names them
    "onnx-opset-versions", "onnx-element-types", "onnx-operators", "vnnlib-versions", "hidden-node-theories",
    "multiple-input-output-theories", "multiple-network-theories", "multiple-node-comparison-theories",
    "arithmetic-complexity-theories", "optimised-disjunctive-reasoning", "serialise-assignments",
)  # fmt: skip
