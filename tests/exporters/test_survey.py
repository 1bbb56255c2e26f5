"""What exporters write is read as they compute it; skipped without the packages of tests/exporters/requirements.txt."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import small_files

sys.path.insert(0, str(Path(__file__).parent))

from exports import Case, Export, installed  # noqa: E402
from keras_cases import keras_cases  # noqa: E402
from scikit_cases import scikit_cases  # noqa: E402
from survey import fault_of  # noqa: E402
from torch_cases import torch_cases  # noqa: E402

FRAMEWORKS = {
    "torch": (torch_cases, ("torch", "onnxscript")),
    "keras": (keras_cases, ("keras", "torch", "onnxscript")),
    "skl2onnx": (scikit_cases, ("sklearn", "skl2onnx")),
}


@pytest.mark.exporters
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_exports_are_read_as_they_compute(framework: str) -> None:
    """Each network is read and answered as its framework computes, or refused in one line that says why."""
    cases, packages = FRAMEWORKS[framework]
    missing = [name for name in packages if not installed(name)]
    if missing:
        pytest.skip(f"{' and '.join(missing)}: not installed, see tests/exporters/requirements.txt")
    faults = {case.name: fault for case in cases() if (fault := fault_of(case))}
    assert faults == {}


def export(tmp_path: Path, function: object = None, content: bytes = b"") -> Export:
    """|x_0| + relu(x_1) as a file, with a function that it is said to be made of."""
    right = lambda x: np.array([abs(x[0]) + max(x[1], 0.0)])  # noqa: E731
    return Export(content or small_files.absolute(tmp_path / "net.onnx").read_bytes(), function or right)  # type: ignore[arg-type]


def test_the_survey_tells_right_from_wrong(tmp_path: Path) -> None:
    """No fault of a network that is its function; one of another function, of a refusal, and of none where expected."""
    right = export(tmp_path)
    assert fault_of(Case("right", lambda: right)) == ""
    other = export(tmp_path, lambda x: np.array([abs(x[0])]))
    assert "reads" in fault_of(Case("other", lambda: other))
    assert "expected to be refused" in fault_of(Case("read", lambda: right, "jumps"))
    model = onnx.load_from_string(right.content)
    model.graph.node[1].op_type = "Tan"
    refused = export(tmp_path, content=model.SerializeToString())
    assert "Tan" in fault_of(Case("refused", lambda: refused))
    assert fault_of(Case("refused", lambda: refused, "no relaxation")) == ""
