"""The command line: verdicts, exit codes, result files, what is said and what is not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import small_files

import hypersplit
from hypersplit.bab.command.cli import main
from hypersplit.bab.run import limits
from hypersplit.bab.run.result import Result
from hypersplit.instances.judges.witness import read_witness

Captured = pytest.CaptureFixture[str]
LATE_LOOKS = 5  # at the clock, of stages and searches that end one after another


@pytest.fixture
def network(tmp_path: Path) -> str:
    """A small network's file."""
    return str(small_files.absolute(tmp_path / "net.onnx"))


def hard_files(folder: Path) -> list[str]:
    """A random network and a property that no run decides in a fraction of a second."""
    rng = np.random.default_rng(0)
    sizes = [20, 60, 60, 60, 1]
    layers = [
        (
            rng.normal(size=(m, n)).astype(np.float32) / np.float32(np.sqrt(n)),
            rng.normal(size=m).astype(np.float32),
        )
        for n, m in zip(sizes, sizes[1:], strict=False)
    ]
    prop = small_files.property_of(folder / "hard.vnnlib", "(>= Y_0 20.0)", ((-4.0, 4.0),) * 20)
    return [str(small_files.write_network(folder / "hard.onnx", layers)), str(prop)]


def test_unsat_ends_with_0_and_at_most_six_lines(network: str, tmp_path: Path, capsys: Captured) -> None:
    """A property that holds: `unsat` first, a short summary, exit code 0, the verdict in the file."""
    result = tmp_path / "result.txt"
    code = main(["verify", network, str(small_files.holds(tmp_path / "p.vnnlib")), "--result", str(result)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "unsat"
    assert len(lines) <= 6
    assert result.read_text() == "unsat\n"


def test_sat_ends_with_1_and_writes_a_real_witness(network: str, tmp_path: Path, capsys: Captured) -> None:
    """A violated property: `sat`, exit code 1, the witness printed, and in the file in VNN-COMP's form."""
    result = tmp_path / "result.txt"
    code = main(
        ["verify", network, str(small_files.violated(tmp_path / "p.vnnlib")), "--result", str(result)]
    )
    out, err = capsys.readouterr()
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "sat"
    assert len(lines) <= 6
    first, rest = result.read_text().split("\n", 1)
    assert first == "sat"
    x = read_witness(rest).input
    assert -1.0 <= x[0] <= 1.0 and 0.0 <= x[1] <= 1.0
    assert abs(x[0]) + x[1] >= 1.5
    assert f"input:  {float(x[0])!r} {float(x[1])!r}" in lines


def test_json_is_one_object(network: str, tmp_path: Path, capsys: Captured) -> None:
    """--json prints one line of JSON, which holds verdict, witness and counts."""
    code = main(["verify", network, str(small_files.violated(tmp_path / "p.vnnlib")), "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    answer = json.loads(line)
    assert (code, answer["verdict"]) == (1, "sat")
    assert abs(answer["witness"]["input"][0]) + answer["witness"]["input"][1] >= 1.5
    assert answer["seconds"] > 0.0


def test_timeout_ends_with_3(tmp_path: Path, capsys: Captured) -> None:
    """A run out of time says `timeout`, ends with 3, and says so in the result file."""
    result = tmp_path / "result.txt"
    code = main(["verify", *hard_files(tmp_path), "--timeout", "0.05", "--result", str(result)])
    assert code == 3
    assert capsys.readouterr().out.splitlines()[0] == "timeout"
    assert result.read_text() == "timeout\n"


@pytest.mark.parametrize(
    "flag", [["--method", "split"], ["--method", "milp"], ["--option", "rule=auto"], ["--jobs", "1"]]
)
def test_options_reach_the_search(flag: list[str], network: str, tmp_path: Path) -> None:
    """Each way of asking gives the same verdict."""
    assert main(["verify", network, str(small_files.holds(tmp_path / "p.vnnlib")), *flag]) == 0


def test_log_and_verbose_tell_more(network: str, tmp_path: Path, capsys: Captured) -> None:
    """--log writes what was tried to a file; -v prints every statistic and the whole witness."""
    main(["verify", network, str(small_files.violated(tmp_path / "p.vnnlib")), "-v"])
    out = capsys.readouterr().out
    assert "((X_0 " in out and "queries: 1" in out
    log = tmp_path / "log.txt"
    main(["verify", *hard_files(tmp_path), "--option", "nodes=1", "--log", str(log)])
    assert "root: bound" in log.read_text()


def test_unsupported_operators_are_unknown_with_their_name(tmp_path: Path, capsys: Captured) -> None:
    """An operator outside the supported set: `unknown`, exit code 3, operator and node named."""
    layers = [(np.eye(2, dtype=np.float32), None), (np.ones((1, 2), dtype=np.float32), None)]
    network = small_files.write_network(tmp_path / "net.onnx", layers, operator="Tan")
    result = tmp_path / "result.txt"
    code = main(
        ["verify", str(network), str(small_files.holds(tmp_path / "p.vnnlib")), "--result", str(result)]
    )
    out, err = capsys.readouterr()
    assert (code, err) == (3, "")
    assert out.splitlines()[0] == "unknown"
    assert "Tan" in out and "activation_1" in out
    assert result.read_text() == "unknown\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "", "verify", "prove a b", "verify a b --timeout -1", "verify a b --timeout nan",
        "verify a b --jobs 0", "verify a b --method magic", "verify a b --option x=1",
        "verify a b --option clip=1", "verify a b --option nodes=many", "bench a.csv --resume",
        "bench a.csv --jobs 0",
    ],
)  # fmt: skip
def test_usage_errors_are_one_line_and_2(arguments: str, capsys: Captured) -> None:
    """Wrong words on the command line: one line on stderr, nothing on stdout, exit code 2."""
    code = main(arguments.split())
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("hypersplit: error: ") and len(err.splitlines()) == 1


def test_inputs_are_never_written_over(network: str, tmp_path: Path, capsys: Captured) -> None:
    """A result or log file that is one of the inputs is refused, and the input stays as it was."""
    prop = small_files.holds(tmp_path / "p.vnnlib")
    before = prop.read_text()
    for flag in ("--result", "--log"):
        assert main(["verify", network, str(prop), flag, str(prop)]) == 2
        assert "is an input" in capsys.readouterr().err
    assert prop.read_text() == before


def test_no_old_answer_stays_after_bad_input(network: str, tmp_path: Path, capsys: Captured) -> None:
    """A result file of a former run is gone when this run has no verdict."""
    result = tmp_path / "result.txt"
    result.write_text("unsat\n")
    assert main(["verify", network, str(tmp_path / "absent.vnnlib"), "--result", str(result)]) == 2
    assert not result.exists()


def test_a_result_file_that_cannot_be_written_is_said_before_the_work(
    network: str, tmp_path: Path, capsys: Captured
) -> None:
    """A folder that does not exist costs no search: exit code 2 and no verdict."""
    prop = small_files.holds(tmp_path / "p.vnnlib")
    assert main(["verify", network, str(prop), "--result", str(tmp_path / "no" / "such.txt")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "such.txt" in err


def test_internal_errors_are_one_line_and_4(
    network: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw: one line, exit code 4, `unknown` in the result file; -v shows the traceback."""

    def fail(*_: object, **__: object) -> Result:
        raise RuntimeError("cannot\nbe")

    monkeypatch.setattr("hypersplit.bab.verify.verify", fail)
    result = tmp_path / "result.txt"
    arguments = ["verify", network, str(small_files.holds(tmp_path / "p.vnnlib")), "--result", str(result)]
    assert main(arguments) == 4
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "RuntimeError: cannot be" in err
    assert result.read_text() == "unknown\n"
    assert main([*arguments, "-v"]) == 4
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "reason"), [(MemoryError, "memory"), (KeyboardInterrupt, "interrupted")])
def test_memory_and_interrupt_are_unknown(
    error: type[BaseException],
    reason: str,
    network: str,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Running out of memory or patience while reading is `unknown` with its reason, exit code 3."""

    def fail(*_: object, **__: object) -> Result:
        raise error

    monkeypatch.setattr("hypersplit.bab.verify.verify", fail)
    assert main(["verify", network, str(small_files.holds(tmp_path / "p.vnnlib"))]) == 3
    assert capsys.readouterr().out.splitlines()[:2] == ["unknown", f"reason: {reason}"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_write_what_is_known(number: signal.Signals, tmp_path: Path) -> None:
    """A run that is asked to end, by SIGTERM or Ctrl-C, says `unknown` and writes its result file."""
    result = tmp_path / "result.txt"
    log = tmp_path / "log.txt"
    process = subprocess.Popen(
        [sys.executable, "-m", "hypersplit.bab", "verify", *hard_files(tmp_path), "--timeout", "60",
         "--result", str(result), "--log", str(log)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        for _ in range(1200):  # until the search has begun
            if process.poll() is not None or (log.exists() and log.stat().st_size):
                break
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (3, "")
    assert out.splitlines()[:2] == ["unknown", "reason: interrupted"]
    assert result.read_text() == "unknown\n"


def test_module_and_version() -> None:
    """`python -m hypersplit.bab --version` names the package's version."""
    run = subprocess.run(
        [sys.executable, "-m", "hypersplit.bab", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout == f"{hypersplit.__version__}\n"


def test_info_describes_both_files(network: str, tmp_path: Path, capsys: Captured) -> None:
    """`info` names the operators of the network and the size of the input set."""
    assert main(["info", network, str(small_files.holds(tmp_path / "p.vnnlib"))]) == 0
    out = capsys.readouterr().out
    assert "Relu" in out and "Gemm" in out


def test_the_time_limit_is_kept(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that finds no answer goes on to its limit, and few looks at the clock are made once that is passed."""
    looks: list[float] = []

    def monotonic() -> float:
        looks.append(time.monotonic())
        return looks[-1]

    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=monotonic))
    assert main(["verify", *hard_files(tmp_path), "--timeout", "3", "--jobs", "1", "--json"]) == 3
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verdict"], answer["reason"]) == ("timeout", "time")
    assert answer["seconds"] >= 2.0
    late = sum(t > looks[0] + 3.0 for t in looks)
    assert late <= LATE_LOOKS


def test_equal_seeds_give_equal_runs(tmp_path: Path, capsys: Captured) -> None:
    """Two runs with the same seed, on one core, bound the same number of nodes and prove the same bound."""
    words = ["--method", "split", "--option", "nodes=100", "--seed", "5", "--jobs", "1", "--json"]
    arguments = ["verify", *hard_files(tmp_path), *words]
    runs = []
    for _ in range(2):
        assert main(arguments) == 3
        answer = json.loads(capsys.readouterr().out)
        runs.append((answer["reason"], answer["bound"], answer["statistics"]["nodes"]))
    assert runs[0] == runs[1]
    assert runs[0][2] >= 100
