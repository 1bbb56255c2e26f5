"""The errors a user can meet. Each says which file, which node or line, what was expected, and what to do."""

__all__ = [
    "DisagreementError", "InputError", "NetworkError", "PropertyError", "ReplayError", "UnsupportedOperatorError",
]  # fmt: skip


class InputError(ValueError):
    """A file or an argument that no verdict can be given for; the command line ends with exit code 2."""


class NetworkError(InputError):
    """An ONNX file that is truncated, malformed, holds NaN, or whose shapes do not fit."""


class PropertyError(InputError):
    """A VNN-LIB file that is malformed, contradictory, non-linear, or does not fit its network."""


class UnsupportedOperatorError(NetworkError):
    """A well-formed ONNX file with an operator outside the supported set."""


class ReplayError(InputError):
    """An ONNX file that onnxruntime cannot load or run: no input of it can be replayed.

    `verify` raises it to nobody: what was proved stays, and what would need a replay is `unknown`.
    """


class DisagreementError(RuntimeError):
    """The network that was read is not what its file computes: an error of this program, never a verdict."""
