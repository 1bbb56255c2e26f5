"""Networks as the exporters of PyTorch, Keras and scikit-learn write them: what is read of them is what they compute.

    pip install -r tests/exporters/requirements.txt
    python tests/exporters/survey.py               all of them; ends with 1 where one is read or answered wrongly
    python tests/exporters/survey.py conv softmax  those whose names hold one of these words
    python tests/exporters/survey.py --page docs/exporters.md    the table of all outcomes as well
    python tests/exporters/survey.py --one PyTorch > pytorch.jsonl     one column, in an environment of its own;
    python tests/exporters/survey.py --told *.jsonl --page docs/exporters.md    and the table of such files

Each network that is read is held against its framework at random points, and three small questions about it against the
framework's values at points of the question's box: the bound that is asked for lies between them in one, beyond them
in the others. Each that cannot be read is refused in one line that says why.

Keras runs on one backend a process: each column of the table is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
BACKENDS = {"Keras on PyTorch": "torch", "Keras on TensorFlow": "tensorflow"}
FRAMEWORKS: dict[str, tuple[str, ...]] = {
    "PyTorch": ("PyTorch", "PyTorch, traced"), "Keras": (*BACKENDS, "tf2onnx"), "scikit-learn": ("skl2onnx",),
}  # fmt: skip
EXPORTERS = [name for names in FRAMEWORKS.values() for name in names]


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    exporter: str
    layer: str
    how: str  # "exact", "bounded", "order", "not exported: " and why, or the line that refuses it
    fault: str = ""  # what is wrong with it, "" for nothing


def outcomes(exporter: str, words: list[str]) -> list[Outcome]:
    """Of the cases of a column whose names hold one of the words, in a process of its own."""
    own = {**os.environ, "KERAS_BACKEND": BACKENDS.get(exporter, "tensorflow"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--one", exporter, *words]
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = []
        for line in process.stdout:
            if line.startswith("{"):
                found.append(_outcome(line))
                if found[-1].fault:
                    print(f"{exporter}: {found[-1].layer}: {found[-1].fault}", flush=True)
    if process.returncode:
        found.append(Outcome(exporter, "", "", f"its process ended with {process.returncode}"))
        print(found[-1].fault, flush=True)
    return found


def _outcome(line: str) -> Outcome:
    return Outcome(**json.loads(line))


def one(exporter: str, words: list[str]) -> None:
    """Go through a column in this process, a line of JSON a case."""
    os.environ["KERAS_BACKEND"] = BACKENDS.get(exporter, "tensorflow")  # read when Keras is imported
    from answers import outcome
    from keras_cases import keras_cases, tensorflow_cases
    from scikit_cases import scikit_cases
    from torch_cases import torch_cases

    keras = keras_cases(exporter) if exporter in BACKENDS else []
    for case in (*torch_cases(), *keras, *tensorflow_cases(), *scikit_cases()):
        if case.exporter == exporter and (not words or any(word in case.layer for word in words)):
            how, fault = outcome(case)
            print(json.dumps(asdict(Outcome(exporter, case.layer, how, fault))), flush=True)


HEAD = """# Which exports are read

Small networks around one layer each, exported and then read: *exact* where they are ReLUs alone, *bounded* where curves
are enclosed by lines and split by their inputs, *order* where the outputs are those of a softmax. Each one that is read
is held against the framework itself at random points, and three questions about it against the framework's values;
`not exported` is the framework's word, `refused` names the operator that is not read, and an empty cell was not asked.
`python tests/exporters/survey.py --page docs/exporters.md` writes this page.

"""
REASON = re.compile(r"(?:the operator (\w+(?:\.\w+)*)|\((\w+)\):)")


def page(found: list[Outcome]) -> str:
    """The tables in Markdown, one a framework: a layer a row, an exporter a column."""
    return HEAD + "\n".join(
        f"## {framework}\n\n{table}" for framework, names in FRAMEWORKS.items() if (table := _table(found, names))
    )


def _table(found: list[Outcome], exporters: tuple[str, ...]) -> str:
    """Of the outcomes of these exporters, "" where there are none."""
    columns = [name for name in exporters if any(o.exporter == name for o in found)]
    if not columns:
        return ""
    table: dict[str, dict[str, str]] = {}
    for o in found:
        if o.exporter in columns:
            table.setdefault(o.layer, {})[o.exporter] = _cell(o)
    lines = [f"| layer | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for layer, cells in sorted(table.items(), key=lambda row: row[0].lower()):
        lines.append(f"| {layer} | {' | '.join(cells.get(name, '') for name in columns)} |")
    return "\n".join(lines) + "\n"


def _cell(o: Outcome) -> str:
    if not o.how.startswith("refused"):
        return o.how.partition(":")[0]
    operator = REASON.search(o.how)
    return f"refused: `{operator[1] or operator[2]}`" if operator else "refused"


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="parts of layers' names")
    parser.add_argument("--one", choices=EXPORTERS, help="this column alone, in this process, as lines of JSON")
    parser.add_argument("--page", type=Path, help="write the table to this file")
    parser.add_argument("--told", type=Path, nargs="+", help="files of what --one printed, in place of asking")
    args = parser.parse_args()
    if args.one:
        one(args.one, args.words)
        return 0
    if args.told:
        lines = [line for path in args.told for line in path.read_text(encoding="utf-8").splitlines()]
        found = list({(o.exporter, o.layer): o for o in (_outcome(line) for line in lines if line[:1] == "{")}.values())
    else:
        found = [o for exporter in EXPORTERS for o in outcomes(exporter, args.words)]
    read = sum(o.how in ("exact", "bounded", "order") for o in found)
    print(f"{len(found)} exports, {read} read, {sum(bool(o.fault) for o in found)} wrong")
    if args.page:
        args.page.write_text(page(found), encoding="utf-8")
    return int(any(o.fault for o in found))


if __name__ == "__main__":
    sys.exit(main())
