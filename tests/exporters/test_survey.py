"""What exporters write is read as they compute it; skipped without the packages of tests/exporters/requirements.txt."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import small_files

sys.path.insert(0, str(Path(__file__).parent))

from answers import outcome  # noqa: E402
from exports import Case, Export, NotExported, installed  # noqa: E402
from survey import Outcome, outcomes, page  # noqa: E402

NEEDS = {
    "PyTorch": ("torch", "onnxscript"), "PyTorch, traced": ("torch", "onnxscript"),
    "Keras on PyTorch": ("keras", "torch", "onnxscript"), "Keras on TensorFlow": ("keras", "tensorflow", "tf2onnx"),
    "tf2onnx": ("keras", "tensorflow", "tf2onnx"), "skl2onnx": ("sklearn", "skl2onnx"),
}  # fmt: skip


@pytest.mark.exporters
@pytest.mark.parametrize("exporter", NEEDS)
def test_exports_are_read_as_they_compute(exporter: str) -> None:
    """Each network is read and answered as its framework computes, or refused in one line that says why."""
    if missing := [name for name in NEEDS[exporter] if not installed(name)]:
        pytest.skip(f"{' and '.join(missing)}: not installed, see tests/exporters/requirements.txt")
    found = outcomes(exporter, [])
    assert [o for o in found if o.fault] == []
    assert sum(o.how.startswith("not exported") for o in found) <= len(found) // 10


def export(tmp_path: Path, function: object = None, content: bytes = b"") -> Export:
    """|x_0| + relu(x_1) as a file, with a function that it is said to be made of."""
    right = lambda x: np.array([abs(x[0]) + max(x[1], 0.0)])  # noqa: E731
    return Export(content or small_files.absolute(tmp_path / "net.onnx").read_bytes(), function or right)  # type: ignore[arg-type]


def test_the_survey_tells_right_from_wrong(tmp_path: Path) -> None:
    """No fault of a network that is its function; one of another function, of a refusal, and of none where expected."""
    right = export(tmp_path)
    assert outcome(Case("e", "right", lambda: right)) == ("exact", "")
    other = export(tmp_path, lambda x: np.array([abs(x[0])]))
    assert "reads" in outcome(Case("e", "other", lambda: other))[1]
    assert "expected to be refused" in outcome(Case("e", "read", lambda: right, "jumps"))[1]
    model = onnx.load_from_string(right.content)
    model.graph.node[1].op_type = "Tan"
    refused = export(tmp_path, content=model.SerializeToString())
    assert "Tan" in outcome(Case("e", "refused", lambda: refused))[1]
    how, fault = outcome(Case("e", "refused", lambda: refused, "no relaxation"))
    assert how.startswith("refused: ") and not fault


def test_what_is_not_exported_is_no_fault() -> None:
    """But it is told, and why."""

    def make() -> Export:
        raise NotExported("no such layer")

    assert outcome(Case("e", "none", make)) == ("not exported: no such layer", "")


def test_the_page_has_a_row_a_layer() -> None:
    """In the table of its framework, and a column for each exporter that was asked; a missing operator is named."""
    line = "refused: file: node 'n' (Tan): the operator Tan is not supported (why)"
    found = [
        Outcome("skl2onnx", "b", "exact"), Outcome("PyTorch", "a", "bounded"), Outcome("PyTorch", "b", line),
        Outcome("PyTorch, traced", "b", "not exported: why"),
    ]  # fmt: skip
    assert [row for row in page(found).splitlines() if row.startswith(("|", "##"))] == [
        "## PyTorch", "| layer | PyTorch | PyTorch, traced |", "|---|---|---|", "| a | bounded |  |",
        "| b | refused: `Tan` | not exported |", "## scikit-learn", "| layer | skl2onnx |", "|---|---|",
        "| b | exact |",
    ]  # fmt: skip
