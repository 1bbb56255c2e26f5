"""hypersplit: a complete neural-network verifier.

    >>> import hypersplit
    >>> result = hypersplit.verify("net.onnx", "prop.vnnlib", timeout=60)      # doctest: +SKIP
    >>> result.verdict, result.witness, result.bound, result.reason            # doctest: +SKIP

`radius`, `radii` and `robustness` ask how far inputs are from another class: docs/robustness.md.
How far the answers at points hold, without any property: `simplex_certificate`, `decision_boundary_certificate`,
`lipschitz_certificate`, `boundary_distance`, `region_walk`, each a function of (network, points, labels, norm).

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
    from hypersplit.bab.partition.refinement import Partition as Partition
    from hypersplit.bab.partition.refinement import partitioned_bound as partitioned_bound
    from hypersplit.bab.resume import resume as resume
    from hypersplit.bab.robustness.radius import Radius as Radius
    from hypersplit.bab.robustness.radius import radii as radii
    from hypersplit.bab.robustness.radius import radius as radius
    from hypersplit.bab.robustness.samples import Answer as Answer
    from hypersplit.bab.robustness.samples import robustness as robustness
    from hypersplit.bab.run.options import Options as Options
    from hypersplit.bab.run.result import Result as Result
    from hypersplit.bab.verify import verify as verify
    from hypersplit.encodings.certificates.activation_regions import ActivationRegions as ActivationRegions
    from hypersplit.encodings.certificates.activation_regions import activation_region as activation_region
    from hypersplit.encodings.certificates.activation_regions import essential_faces as essential_faces
    from hypersplit.encodings.certificates.boundaries import boundary_distance as boundary_distance
    from hypersplit.encodings.certificates.decision_boundary import (
        decision_boundary_certificate as decision_boundary_certificate,
    )
    from hypersplit.encodings.certificates.decision_boundary import lipschitz_certificate as lipschitz_certificate
    from hypersplit.encodings.certificates.region_walk import RegionWalks as RegionWalks
    from hypersplit.encodings.certificates.region_walk import region_walk as region_walk
    from hypersplit.encodings.certificates.simplex import region_certificate as region_certificate
    from hypersplit.encodings.certificates.simplex import simplex_certificate as simplex_certificate
    from hypersplit.instances.errors import InputError as InputError
    from hypersplit.instances.errors import NetworkError as NetworkError
    from hypersplit.instances.errors import PropertyError as PropertyError
    from hypersplit.instances.errors import UnsupportedOperatorError as UnsupportedOperatorError
    from hypersplit.instances.judges.region_certificate import RegionCertificate as RegionCertificate
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
    "ActivationRegions": "encodings.certificates.activation_regions",
    "Answer": "bab.robustness.samples",
    "Case": "instances.property",
    "InputError": "instances.errors",
    "InputSet": "instances.property",
    "Layer": "instances.network",
    "Model": "instances.models.kinds",
    "Network": "instances.network",
    "NetworkError": "instances.errors",
    "Options": "bab.run.options",
    "Partition": "bab.partition.refinement",
    "Polyhedron": "instances.property",
    "Property": "instances.property",
    "PropertyError": "instances.errors",
    "Question": "instances.property",
    "Radius": "bab.robustness.radius",
    "RegionCertificate": "instances.judges.region_certificate",
    "RegionWalks": "encodings.certificates.region_walk",
    "Result": "bab.run.result",
    "UnsupportedOperatorError": "instances.errors",
    "Witness": "instances.judges.witness",
    "activation_region": "encodings.certificates.activation_regions",
    "assert_verified": "bab.assertion",
    "boundary_distance": "encodings.certificates.boundaries",
    "decision_boundary_certificate": "encodings.certificates.decision_boundary",
    "essential_faces": "encodings.certificates.activation_regions",
    "lipschitz_certificate": "encodings.certificates.decision_boundary",
    "load_model": "instances.models.kinds",
    "partitioned_bound": "bab.partition.refinement",
    "radii": "bab.robustness.radius",
    "radius": "bab.robustness.radius",
    "region_certificate": "encodings.certificates.simplex",
    "region_walk": "encodings.certificates.region_walk",
    "resume": "bab.resume",
    "robustness": "bab.robustness.samples",
    "sequential": "instances.network",
    "simplex_certificate": "encodings.certificates.simplex",
    "verify": "bab.verify",
}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hypersplit' has no attribute {name!r}")
    return getattr(import_module(f"hypersplit.{_HOMES[name]}"), name)
