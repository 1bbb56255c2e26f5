"""hypersplit: a complete neural-network verifier.

    >>> import hypersplit
    >>> result = hypersplit.verify("net.onnx", "prop.vnnlib", timeout=60)      # doctest: +SKIP
    >>> result.verdict, result.witness, result.bound, result.reason            # doctest: +SKIP

Networks and properties can also be built in memory: see `Network`, `sequential`, `Property`, `Case`, `InputSet`.
"""

from hypersplit.bab.options import Options
from hypersplit.bab.result import Result
from hypersplit.bab.verify import verify
from hypersplit.instances.errors import InputError, NetworkError, PropertyError, UnsupportedOperatorError
from hypersplit.instances.network import Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.replay import Witness

__version__ = "0.1.0"

__all__ = [
    "Case",
    "InputError",
    "InputSet",
    "Layer",
    "Network",
    "NetworkError",
    "Options",
    "Polyhedron",
    "Property",
    "PropertyError",
    "Result",
    "UnsupportedOperatorError",
    "Witness",
    "sequential",
    "verify",
]
