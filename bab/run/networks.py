"""Several networks of one question, as the competition's lists write them: [('f', 'f.onnx'), ('g', 'g.onnx')]."""

from __future__ import annotations

import ast

from ...instances.errors import InputError

__all__ = ["named_networks"]


def named_networks(text: str) -> str | dict[str, str]:
    """A list of pairs, [('f', 'f.onnx'), ('g', 'g.onnx')], as the competition's lists write several networks; a plain
    path stays what it is. Raises InputError."""
    if not text.startswith("["):
        return text
    try:
        pairs = ast.literal_eval(text)
        named = {str(name): str(path) for name, path in pairs}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise InputError(f"networks {text[:80]!r}: expected [('NAME', 'FILE'), ...]") from error
    if not named or len(named) != len(pairs):
        raise InputError(f"networks {text[:80]!r}: expected names that differ, one or more")
    return named
