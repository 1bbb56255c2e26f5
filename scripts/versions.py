"""One question in two versions of VNN-LIB: the same normal form, and the same answer.

    python scripts/versions.py BENCHMARKS --each 3 --timeout 5

BENCHMARKS is a folder of VNN-COMP's layout, FAMILY/instances.csv. Of each family some instances with properties of
version 1, evenly spread, are written in version 2 and asked in both by `hypersplit.verify`. A line a family; where
normal forms differ, or a question is `sat` in one version and `unsat` in the other, it says so, and the exit code is 1.
One that is open in one of them only may have met the time limit there, and is counted.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from same_properties import same  # noqa: E402
from vnnlib_formulas import in_version_2  # noqa: E402

import hypersplit  # noqa: E402
from hypersplit.bab.bench.bench_instances import Instance, read_instances  # noqa: E402
from hypersplit.instances.errors import InputError  # noqa: E402
from hypersplit.instances.vnnlib.reader import parse_property, read_property  # noqa: E402
from hypersplit.instances.vnnlib.version import is_version_2  # noqa: E402

LONGEST = 3_000_000  # characters of a property that is translated


def main() -> int:
    """The command line; 1 if any question has two answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=3, help="instances of a family")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for an answer")
    parser.add_argument("--family", default="", help="this one only")
    args = parser.parse_args()
    families: dict[str, list[Instance]] = {}
    for instance in read_instances([args.folder]):
        if args.family in ("", instance.family):
            families.setdefault(instance.family, []).append(instance)
    wrong = 0
    for family, instances in sorted(families.items()):
        spread = sorted({int(k) for k in np.linspace(0, len(instances) - 1, args.each)})
        counts = Counter(_compared(instances[k], args.timeout) for k in spread)
        wrong += sum(n for how, n in counts.items() if how.startswith("WRONG"))
        print(f"{family}:", ", ".join(f"{how} {n}" for how, n in sorted(counts.items())), flush=True)
    return int(wrong > 0)


def _compared(instance: Instance, timeout: float) -> str:
    """How the two versions of an instance compare."""
    try:
        prop = read_property(instance.folder / instance.vnnlib)
    except InputError as error:
        return f"refused ({str(error)[:80]})"
    if is_version_2(prop.text) or len(prop.text) > LONGEST:
        return "left out"
    other = parse_property(in_version_2(prop.text))
    if not same(prop, other):
        return f"WRONG: two normal forms of {instance.vnnlib}"
    answers = []
    for asked in (prop, other):
        try:
            answers.append(hypersplit.verify(instance.networks, asked, timeout=timeout).verdict)
        except InputError as error:
            answers.append(f"refused ({str(error)[:80]})")
    if answers[0] == answers[1]:
        return f"both {answers[0]}"
    if "timeout" in answers or "unknown" in answers:
        return "decided in one version only"
    return f"WRONG: {' and '.join(answers)} of {instance.onnx} and {instance.vnnlib}"


if __name__ == "__main__":
    sys.exit(main())
