"""Write the carried properties and the two lists: python scripts/make_instances.py [FOLDER]

Run it after the three train_*.py. Each verdict in truth.csv is reached three times: by the default
search, by branch and bound without a MILP and by one MILP per disjunct; the script stops where they differ or
one of them is undecided.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import hypersplit
from hypersplit.bab.run.options import METHODS
from hypersplit.instances.families.random_networks import nested_max, nested_max_property, robustness
from hypersplit.instances.network import Array
from hypersplit.instances.onnx.writer import write_network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.vnnlib.writer import write_property

DATA = Path(__file__).resolve().parents[1] / "instances" / "data"
TIMEOUT = 20  # seconds, in instances.csv
# networks, and the robustness questions put to each: (digit or row of iris_nominal.csv, radius)
DIGITS = {
    "digits_mlp_32": [(1, 1 / 32), (1, 3 / 64), (9, 3 / 32), (3, 3 / 32)],
    "digits_mlp_24x2": [(1, 3 / 64), (1, 1 / 16), (6, 3 / 32), (0, 1 / 8), (3, 3 / 32)],
    "digits_conv": [(1, 3 / 64), (9, 1 / 16), (6, 3 / 32), (4, 1 / 8)],
}
IRIS = {
    "iris_1layer": [(1, 0.2), (1, 0.3), (2, 0.2)],
    "iris_2layer": [(1, 0.2), (1, 0.3), (2, 0.2)],
}
MAXIMA = 6  # inputs of nested_max


def main(folder: Path) -> None:
    """Write all and say what came out."""
    write_network(nested_max(MAXIMA), folder / f"nested_max_{MAXIMA}.onnx")
    asked = list(_asked(folder))
    for vnnlib, prop in {vnnlib: prop for _, vnnlib, prop in asked}.items():
        write_property(prop, folder / vnnlib)
    verdicts = [(onnx, vnnlib, _verdict(folder / onnx, folder / vnnlib)) for onnx, vnnlib, _ in asked]
    with (folder / "instances.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows((o, v, TIMEOUT) for o, v, _ in verdicts)
    with (folder / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["family", "onnx", "vnnlib", "verdict"])
        rows.writerows(["data", *row] for row in verdicts)


def _asked(folder: Path) -> list[tuple[str, str, Property]]:
    """(network, name of the property, property) of every instance."""
    asked = []
    for family, questions, stem, outputs, upper in (
        ("iris", IRIS, "flower", 3, np.inf),
        ("digits", DIGITS, "digit", 10, 1.0),
    ):
        nominal = np.loadtxt(folder / f"{family}_nominal.csv", delimiter=",", skiprows=1)
        for network, pairs in questions.items():
            for row, radius in pairs:
                prop = robustness(nominal[row, :-1], int(nominal[row, -1]), outputs, radius, 0.0, upper)
                asked.append((f"{network}.onnx", f"{stem}{row}_r{radius:g}.vnnlib", _decimal(prop)))
    everywhere, right = InputSet.box([-1, -1], [1, 1]), InputSet.box([0.2, 0.0], [1, 1])
    for name, region, limits in (
        ("control_force_1.2", everywhere, [(-1.0, -1.2), (1.0, -1.2)]),
        ("control_force_1.15", everywhere, [(-1.0, -1.15), (1.0, -1.15)]),
        ("control_brake", right, [(-1.0, 0.48)]),
    ):
        asked.append(("control_2d.onnx", f"{name}.vnnlib", _limits(region, limits)))
    for threshold in (1.01, 1.0):
        prop = nested_max_property(MAXIMA, threshold)
        asked.append((f"nested_max_{MAXIMA}.onnx", f"nested_max_{threshold:g}.vnnlib", prop))
    return asked


def _limits(region: InputSet, limits: list[tuple[float, float]]) -> Property:
    """Forbidden: sign * y <= rhs for one (sign, rhs) of the list."""
    forbidden = tuple(Polyhedron(np.array([[sign]]), np.array([rhs])) for sign, rhs in limits)
    return Property((Case(region, forbidden),), region.size, 1)


def _decimal(prop: Property) -> Property:
    """Bounds as the short decimals that they mean: 6.4 - 0.2 is 6.2, not 6.200000000000001."""

    def short(bounds: Array) -> Array:
        return np.round(bounds, 9)

    (case,) = prop.cases
    region = InputSet.box(short(case.region.lower), short(case.region.upper))
    return replace(prop, cases=(replace(case, region=region),))


def _verdict(network: Path, prop: Path) -> str:
    results = [hypersplit.verify(network, prop, method=m, timeout=60, jobs=1) for m in METHODS]
    verdicts = {r.verdict for r in results}
    seconds = ", ".join(f"{r.seconds:.2f} s, {r.statistics.get('nodes', 0):g} nodes" for r in results)
    print(f"{network.name} {prop.name}: {'/'.join(sorted(verdicts))} ({seconds}; {results[0].reason})")
    if len(verdicts) != 1 or not verdicts <= {"sat", "unsat"}:
        raise SystemExit(f"{network.name} {prop.name}: the methods differ or do not decide: {verdicts}")
    return verdicts.pop()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
