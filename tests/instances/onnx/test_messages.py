"""The class of models without the rest of onnx."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hypersplit.instances.onnx import messages


def test_a_later_import_of_onnx_finds_the_same_classes() -> None:
    """The class comes without onnx; onnx, imported afterwards, is whole and has the same one."""
    code = (
        "import sys; from hypersplit.instances.onnx.messages import model_class; found = model_class(); "
        "before = 'onnx' in sys.modules; import onnx.onnx_ml_pb2; "
        "print(before, onnx.ModelProto is found, onnx.onnx_ml_pb2.ModelProto is found)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True", "True"]


@pytest.mark.parametrize("place", [None, []])
def test_another_layout_of_the_package_gives_onnx_itself(
    monkeypatch: pytest.MonkeyPatch, place: list[str] | None
) -> None:
    """Where the module of messages is not found where it is expected, all of onnx is imported."""
    import onnx

    class Spec:
        submodule_search_locations = place

    class Finder:
        @staticmethod
        def find_spec(name: str, path: list[str] | None = None) -> Spec | None:
            return Spec() if path is None else None

    monkeypatch.setattr(messages, "PathFinder", Finder)
    monkeypatch.delitem(sys.modules, "onnx")
    messages.model_class.cache_clear()
    assert messages.model_class() is onnx.ModelProto
    messages.model_class.cache_clear()
