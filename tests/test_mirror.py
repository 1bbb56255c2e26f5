"""Tests mirror the modules: FOLDER/ROOM/name.py is tested by tests/FOLDER/ROOM/test_name.py.

What is about many modules at once stands in `tests/whole/`, what is about the checkout in `tests/` itself.
"""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
FOLDERS = ("instances", "encodings", "heuristics", "bab")
STAGES = ("whole/test_verdicts.py", "bab/tree/test_tree.py")  # every stage by every rule, against the oracle
MODELS = ("instances/models/test_kinds.py",)  # every kind of model, by `verify` and `load_model`
# Modules whose promises are held elsewhere, and where: what they do shows in what others make of it.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "bab/answer.py": ("bab/tree/test_tree.py", "heuristics/test_policy.py"),
    "bab/closers/exact_step.py": ("bab/closers/test_exact_closing.py",),
    "bab/pytest_plugin.py": ("bab/test_assertion.py",),
    "bab/stages/attack.py": STAGES,
    "bab/stages/groups.py": ("encodings/neuron_groups/test_group_refinement.py",),
    "bab/stages/root_rows.py": ("heuristics/test_policy.py",),
    "bab/stages/rows.py": ("heuristics/test_policy.py",),
    "bab/stages/slopes.py": STAGES,
    "bab/stages/split_inputs.py": STAGES,
    "bab/stages/work.py": STAGES,
    "bab/steps/candidates.py": ("bab/run/test_watch.py", "whole/test_interruptions.py"),
    "bab/steps/inputs.py": ("bab/tree/test_trace.py", "whole/test_verdicts.py"),
    "bab/steps/phases.py": ("bab/stages/test_split_phases.py", "heuristics/test_policy.py"),
    "bab/studies/contest.py": ("bab/studies/test_frame.py", "bab/studies/test_partition_rules.py"),
    "bab/verify.py": ("whole/test_verdicts.py", "whole/test_interruptions.py"),
    "instances/judges/runtime.py": ("instances/judges/test_replay.py",),
    "instances/models/arrays.py": MODELS,
    "instances/models/exported.py": MODELS,
    "instances/models/keras_model.py": MODELS,
    "instances/models/scikit_learn.py": MODELS,
    "instances/models/torch_module.py": MODELS,
    "instances/onnx/constants.py": ("instances/onnx/test_operators.py", "instances/onnx/test_reader.py"),
    "instances/onnx/linear.py": ("instances/onnx/test_operators.py",),
    "instances/onnx/node.py": ("whole/test_damaged_files.py",),
}
# Modules whose tests come to them by their callers: kernels by `kernel="compiled"`, studies and stages by the command.
BY_ANOTHER_DOOR = {
    "instances/checks.py", "instances/onnx/activations.py", "instances/onnx/affine.py",
    "encodings/kernels/contraction.py", "encodings/kernels/narrow_nodes.py", "encodings/kernels/narrow_programs.py",
    "encodings/kernels/wide_ascent.py", "encodings/kernels/wide_nodes.py", "encodings/slopes/refreshed_bounds.py",
    "bab/stages/split_phases.py", "bab/studies/branching_rules.py", "bab/studies/convex_barrier.py",
    "bab/studies/kpoly.py", "bab/studies/max_subproblems.py",
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


def test_every_module_has_its_test_file() -> None:
    """Or stands on the list above, as long as it has none."""
    without = {module for module in modules() if not mirror(module).is_file()}
    assert without == set(ELSEWHERE)


def test_every_test_file_has_its_module() -> None:
    """Those of `tests/whole/` and of `tests/` itself apart."""
    strays = [
        path.relative_to(TESTS).as_posix()
        for folder in FOLDERS
        for path in (TESTS / folder).rglob("test_*.py")
        if not (ROOT / path.relative_to(TESTS)).with_name(path.name.removeprefix("test_")).is_file()
    ]
    assert strays == []
    assert all(path.parent in (TESTS, TESTS / "whole") or path.relative_to(TESTS).parts[0] in FOLDERS
               for path in TESTS.rglob("*.py"))  # fmt: skip


def test_test_files_use_their_modules() -> None:
    """Each imports its module, or says a name that the module offers: what it asks may come by a public door."""
    strangers = []
    for module, tree in modules().items():
        if module in ELSEWHERE:
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
    assert [name for names in ELSEWHERE.values() for name in names if not (TESTS / name).is_file()] == []
