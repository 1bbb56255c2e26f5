"""Tests mirror the modules: FOLDER/ROOM/name.py is tested by tests/FOLDER/ROOM/test_name.py.

What is about many modules at once stands in `tests/whole/`, what is about the checkout in `tests/` itself, and what
needs frameworks that export networks in `tests/exporters/`.
"""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
FOLDERS = ("instances", "encodings", "heuristics", "bab")
# Rooms whose modules are parts of one thing, and are tested together by these files as well as by files of their own.
TOGETHER: dict[str, tuple[str, ...]] = {
    "bab/jobs": ("bab/jobs/test_checkpoint.py", "bab/jobs/test_run.py", "bab/jobs/test_sealed.py", "bab/test_parts.py"),
    "bab/partition": ("bab/partition/test_partition.py",),
    "bab/robustness": ("bab/robustness/test_robustness.py", "bab/robustness/test_radius.py"),
    "bab/workers": (
        "bab/workers/test_sharing.py", "bab/workers/test_processes.py", "bab/workers/test_cluster.py",
    ),
    "bab/node_study": ("bab/node_study/test_node_bounds.py",),
    "bab/rungs": ("bab/rungs/test_rung.py",),
    "encodings/certificates": ("encodings/certificates/test_certificates.py", "bab/steps/test_certified.py"),
    "heuristics/boundaries": ("heuristics/boundaries/test_nearest_boundary.py",),
    "instances/curves": ("instances/curves/test_names.py", "instances/test_network.py", "instances/test_rounding.py"),
    "instances/expressions": ("instances/operators/test_operators.py", "instances/onnx/test_reader.py"),
    "instances/nonlinear": (
        "instances/nonlinear/test_curves.py", "instances/nonlinear/test_jumps.py",
        "instances/nonlinear/test_products.py",
    ),
    "instances/operators": (
        "instances/operators/test_operators.py", "instances/operators/test_mutations.py",
        "instances/operators/test_verdicts.py",
    ),
    "instances/vnnlib": ("instances/vnnlib/test_reader.py", "instances/vnnlib/test_networks.py"),
}  # fmt: skip
STAGES = ("whole/test_verdicts.py", "bab/tree/test_tree.py")  # every stage by every rule, against the oracle
MODELS = ("instances/models/test_kinds.py",)  # every kind of model, by `verify` and `load_model`
# Modules whose promises are held elsewhere, and where: what they do shows in what others make of it.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "bab/closers/restarts.py": ("bab/closers/test_search_limits.py",),
    "bab/closers/exact_step.py": ("bab/closers/test_exact_closing.py",),
    "bab/drawing/region_picture.py": ("bab/studies/test_polyhedral_certificates.py",),
    "bab/reading.py": ("instances/vnnlib/test_networks.py", "bab/command/test_standard.py"),
    "bab/resume.py": ("bab/jobs/test_checkpoint.py",),
    "bab/run/networks.py": ("bab/command/test_standard.py",),
    "bab/run/row_file.py": ("bab/studies/test_frame.py", "bab/robustness/test_robustness.py"),
    "bab/stages/answer.py": ("bab/tree/test_tree.py", "heuristics/test_policy.py"),
    "bab/stages/root_probing.py": ("bab/closers/test_search_limits.py",),
    "bab/pytest_plugin.py": ("bab/test_assertion.py",),
    "bab/stages/attack.py": STAGES,
    "bab/stages/groups.py": ("encodings/neuron_groups/test_group_refinement.py",),
    "bab/stages/rows.py": ("heuristics/test_policy.py",),
    "bab/stages/slopes.py": STAGES,
    "bab/stages/split_inputs.py": STAGES,
    "bab/stages/work.py": STAGES,
    "bab/steps/candidates.py": ("bab/run/test_watch.py", "whole/test_interruptions.py"),
    "bab/steps/inputs.py": ("bab/tree/test_trace.py", "whole/test_verdicts.py"),
    "bab/steps/phases.py": ("bab/stages/test_split_phases.py", "heuristics/test_policy.py"),
    "bab/studies/contest.py": ("bab/studies/test_frame.py", "bab/studies/test_partition_rules.py"),
    "bab/run/result.py": ("bab/run/test_exit_codes.py", "whole/test_verdicts.py"),
    "bab/studies/linear_radii.py": ("bab/studies/test_polyhedral_certificates.py",),
    "bab/studies/sample_distances.py": ("bab/studies/test_polyhedral_certificates.py",),
    "bab/verify.py": ("whole/test_verdicts.py", "whole/test_interruptions.py"),
    "encodings/linear/backward.py": ("encodings/linear/test_back_substitution.py",),
    "heuristics/attacks/frank_wolfe.py": ("whole/test_norm_balls.py",),
    "heuristics/attacks/lengths.py": ("heuristics/boundaries/test_nearest_boundary.py",),
    "instances/declarations.py": ("instances/vnnlib/test_networks.py",),
    "instances/judges/equal_decimals.py": ("instances/judges/test_real_points.py", "whole/test_equalities.py"),
    "instances/judges/joined.py": ("bab/command/test_standard.py",),
    "instances/judges/region_certificate.py": ("encodings/certificates/test_certificates.py",),
    "instances/judges/runtime.py": ("instances/judges/test_replay.py",),
    "instances/onnx/missing.py": ("instances/onnx/test_reader.py",),
    "instances/onnx/outline.py": ("bab/command/test_info.py",),
    "instances/readout.py": ("instances/operators/test_softmax.py",),
    "instances/rewriting/elimination.py": ("instances/rewriting/test_reduced.py", "whole/test_equalities.py"),
    "instances/models/arrays.py": MODELS,
    "instances/models/exported.py": MODELS,
    "instances/models/keras_model.py": MODELS,
    "instances/models/scikit_learn.py": MODELS,
    "instances/models/torch_module.py": MODELS,
}
# Modules whose tests come to them by their callers: kernels by `kernel="compiled"`, studies and stages by the command.
BY_ANOTHER_DOOR = {
    "instances/checks.py", "instances/expressions/affine.py", "instances/operators/activations.py",
    "encodings/kernels/contraction.py", "encodings/kernels/narrow_differences.py",
    "encodings/kernels/narrow_nodes.py", "encodings/kernels/narrow_programs.py",
    "encodings/kernels/wide_ascent.py", "encodings/kernels/wide_nodes.py", "encodings/slopes/refreshed_bounds.py",
    "bab/stages/split_phases.py", "bab/stages/stuck.py", "bab/studies/branching_rules.py",
    "bab/studies/convex_barrier.py",
    "bab/studies/kpoly.py", "bab/studies/max_subproblems.py",
    "instances/judges/real_points.py",
    "instances/expressions/matrices.py",
    "instances/nonlinear/curves.py",
    "instances/nonlinear/jumps.py",
    "instances/nonlinear/products.py",
    "instances/onnx/written.py",
    "instances/operators/learned.py",
    "instances/operators/recurrent.py",
    "instances/operators/softmax.py",
    "instances/operators/sequences.py",
    "instances/onnx/ports.py",
    "instances/vnnlib/networks.py", "bab/tree/trace.py",
    "instances/models/kinds.py",
    "bab/assertion.py",
    "bab/workers/sharing.py",
}  # fmt: skip


def modules() -> dict[str, ast.Module]:
    """Modules that define a function or a method, by their paths."""
    found = {}
    for path in (p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py") if not p.name.startswith("__")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree)):
            found[path.relative_to(ROOT).as_posix()] = tree
    return found


def mirror(module: str) -> Path:
    """The test file of a module."""
    path = TESTS / module
    return path.with_name(f"test_{path.name}")


def together(module: str) -> bool:
    """Whether a module's room is tested as one."""
    return module.rsplit("/", 1)[0] in TOGETHER


def test_every_module_has_its_test_file() -> None:
    """Or stands on a list above, as long as it has none."""
    without = {module for module in modules() if not mirror(module).is_file() and not together(module)}
    assert without == set(ELSEWHERE)
    assert all((ROOT / room).is_dir() for room in TOGETHER)


def test_every_test_file_has_its_module() -> None:
    """Those of `tests/whole/` and of `tests/` itself apart."""
    strays = [
        path.relative_to(TESTS).as_posix()
        for folder in FOLDERS
        for path in (TESTS / folder).rglob("test_*.py")
        if not (ROOT / path.relative_to(TESTS)).with_name(path.name.removeprefix("test_")).is_file()
        and path.relative_to(TESTS).as_posix() not in {*sum(ELSEWHERE.values(), ()), *sum(TOGETHER.values(), ())}
    ]
    assert strays == []
    assert all(path.parent in (TESTS, TESTS / "whole") or path.relative_to(TESTS).parts[0] in (*FOLDERS, "exporters")
               for path in TESTS.rglob("*.py"))  # fmt: skip


def test_test_files_use_their_modules() -> None:
    """Each imports its module, or says a name that the module offers: what it asks may come by a public door."""
    strangers = []
    for module, tree in modules().items():
        if module in ELSEWHERE or (together(module) and not mirror(module).is_file()):
            continue
        text, dotted = mirror(module).read_text(encoding="utf-8"), module.removesuffix(".py").replace("/", ".")
        parent, last = dotted.rsplit(".", 1)
        offered = {
            word
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            for word in ast.literal_eval(node.value)
        }
        said = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        imported = f"hypersplit.{dotted} import" in text or f"from hypersplit.{parent} import {last}" in text
        if "\ndef test_" not in text or not (imported or offered & said or module in BY_ANOTHER_DOOR):
            strangers.append(module)
    assert strangers == []


def test_the_list_is_no_excuse_for_missing_files() -> None:
    """Whatever holds a module's promises is there."""
    listed = (*ELSEWHERE.values(), *TOGETHER.values())
    assert [name for names in listed for name in names if not (TESTS / name).is_file()] == []
