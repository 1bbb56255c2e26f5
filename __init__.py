"""hypersplit: a complete neural-network verifier.

    >>> import hypersplit
    >>> result = hypersplit.verify("net.onnx", "prop.vnnlib", timeout=60)      # doctest: +SKIP
    >>> result.verdict, result.witness, result.bound, result.reason            # doctest: +SKIP

A network may be a model object of PyTorch, Keras or scikit-learn, or plain arrays; a property may be built:

    >>> question = hypersplit.Property.robustness([0.5, 0.2], 0.1, label=0)
    >>> hypersplit.verify([([[1, 0], [0, 1]], [0, 0])], question).verdict
    'unsat'

Both can be built in full, too: see `Network`, `sequential`, `Property`, `Case`, `InputSet`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypersplit.bab.assertion import assert_verified as assert_verified
    from hypersplit.bab.run.options import Options as Options
    from hypersplit.bab.run.result import Result as Result
    from hypersplit.bab.verify import verify as verify
    from hypersplit.instances.errors import InputError as InputError
    from hypersplit.instances.errors import NetworkError as NetworkError
    from hypersplit.instances.errors import PropertyError as PropertyError
    from hypersplit.instances.errors import UnsupportedOperatorError as UnsupportedOperatorError
    from hypersplit.instances.judges.witness import Witness as Witness
    from hypersplit.instances.models.kinds import Model as Model
    from hypersplit.instances.models.kinds import load_model as load_model
    from hypersplit.instances.network import Layer as Layer
    from hypersplit.instances.network import Network as Network
    from hypersplit.instances.network import sequential as sequential
    from hypersplit.instances.property import Case as Case
    from hypersplit.instances.property import InputSet as InputSet
    from hypersplit.instances.property import Polyhedron as Polyhedron
    from hypersplit.instances.property import Property as Property
    from hypersplit.instances.property import Question as Question

__version__ = "0.1.0"

# Where each public name lives. They arrive on first use: the command line must set the number of threads before numpy
# starts, and answers `--help` without it.
_HOMES = {
    "Case": "instances.property",
    "InputError": "instances.errors",
    "InputSet": "instances.property",
    "Layer": "instances.network",
    "Model": "instances.models.kinds",
    "Network": "instances.network",
    "NetworkError": "instances.errors",
    "Options": "bab.run.options",
    "Polyhedron": "instances.property",
    "Property": "instances.property",
    "PropertyError": "instances.errors",
    "Question": "instances.property",
    "Result": "bab.run.result",
    "UnsupportedOperatorError": "instances.errors",
    "Witness": "instances.judges.witness",
    "assert_verified": "bab.assertion",
    "load_model": "instances.models.kinds",
    "sequential": "instances.network",
    "verify": "bab.verify",
}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hypersplit' has no attribute {name!r}")
    return getattr(import_module(f"hypersplit.{_HOMES[name]}"), name)
