"""VNN-COMP's three scripts: what they write and how they end, whatever happens to the verifier."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import small_files

from hypersplit.instances.judges.witness import read_witness

SCRIPTS = Path(__file__).resolve().parents[2] / "instances" / "vnncomp"


def environment(folder: Path, python: str = sys.executable) -> dict[str, str]:
    """This Python for the scripts, and a folder of the test's own for the number of the running process."""
    return {**os.environ, "HYPERSPLIT_PYTHON": python, "TMPDIR": str(folder)}


def script(
    name: str, folder: Path, *arguments: object, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    command = [str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, env=environment(folder, python), capture_output=True, text=True, cwd=folder)


def run_instance(folder: Path, network: Path, prop: Path, python: str = sys.executable) -> str:
    """The result file that run_instance.sh leaves; it must end with 0 and leave no process number behind."""
    result = folder / "result.txt"
    run = script("run_instance.sh", folder, "v1", "test", network, prop, result, 20, python=python)
    assert run.returncode == 0, run.stderr
    assert not list(folder.glob("*.pid"))
    return result.read_text()


def test_holding_property(tmp_path: Path) -> None:
    """A property that holds: the result file is the one line `unsat`."""
    network, prop = small_files.absolute(tmp_path / "a b.onnx"), small_files.holds(tmp_path / "p.vnnlib")
    assert run_instance(tmp_path, network, prop) == "unsat\n"


def test_violated_property(tmp_path: Path) -> None:
    """A violated property: `sat`, then the witness with inputs and outputs."""
    network, prop = small_files.absolute(tmp_path / "n.onnx"), small_files.violated(tmp_path / "p.vnnlib")
    first, rest = run_instance(tmp_path, network, prop).split("\n", 1)
    witness = read_witness(rest)
    assert first == "sat"
    assert (len(witness.input), len(witness.output)) == (2, 1)
    assert abs(witness.input[0]) + witness.input[1] >= 1.5


def test_bad_input_is_an_error(tmp_path: Path) -> None:
    """A file that cannot be read: `error`, and an old answer in the result file does not stay."""
    (tmp_path / "result.txt").write_text("unsat\n")
    prop = small_files.holds(tmp_path / "p.vnnlib")
    assert run_instance(tmp_path, tmp_path / "absent.onnx", prop) == "error\n"


def test_unsupported_operator_is_unknown(tmp_path: Path) -> None:
    """A network that hypersplit cannot read is `unknown`, not an error."""
    layers = [(np.eye(2, dtype=np.float32), None), (np.ones((1, 2), dtype=np.float32), None)]
    network = small_files.write_network(tmp_path / "n.onnx", layers, operator="Tan")
    assert run_instance(tmp_path, network, small_files.holds(tmp_path / "p.vnnlib")) == "unknown\n"


@pytest.mark.parametrize("line", ["exit 7", "kill -KILL $$"])
def test_a_verifier_that_dies_is_unknown(line: str, tmp_path: Path) -> None:
    """A process that ends without an answer, by itself or killed: `unknown`."""
    broken = tmp_path / "python"
    broken.write_text(f"#!/bin/sh\n{line}\n")
    broken.chmod(0o755)
    network, prop = small_files.absolute(tmp_path / "n.onnx"), small_files.holds(tmp_path / "p.vnnlib")
    assert run_instance(tmp_path, network, prop, str(broken)) == "unknown\n"


def test_missing_arguments(tmp_path: Path) -> None:
    """run_instance.sh says how it is used and ends with 0; with a result file given, it holds `error`."""
    run = script("run_instance.sh", tmp_path, "v1", "test")
    assert run.returncode == 0 and "usage" in run.stderr
    result = tmp_path / "result.txt"
    assert script("run_instance.sh", tmp_path, "v1", "test", "a", "b", result).returncode == 0
    assert result.read_text() == "error\n"


def cold_python(folder: Path) -> str:
    """A Python that keeps what it is asked to do in a file, and cannot compile kernels."""
    path = folder / "cold_python"
    path.write_text(
        f'#!/bin/sh\necho "$*" >>"{folder}/asked.txt"\n'
        f'case "$*" in *" warm") exit 2 ;; esac\nexec "{sys.executable}" "$@"\n'
    )
    path.chmod(0o755)
    return str(path)


def test_preparing_compiles_the_kernels(tmp_path: Path) -> None:
    """prepare_instance.sh asks for them, and lets the instance run where they cannot be had."""
    network, prop = small_files.absolute(tmp_path / "n.onnx"), small_files.holds(tmp_path / "p.vnnlib")
    run = script("prepare_instance.sh", tmp_path, "v1", "test", network, prop, python=cold_python(tmp_path))
    assert run.returncode == 0, run.stderr
    assert "-m hypersplit.bab warm" in (tmp_path / "asked.txt").read_text().splitlines()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to see that a process has begun")
def test_preparing_ends_what_a_former_run_left(tmp_path: Path) -> None:
    """prepare_instance.sh ends with 0 and has killed the verifier whose number a former run left."""
    argv = [sys.executable, "-c", "import time; time.sleep(60)", "hypersplit"]
    left = subprocess.Popen(argv, start_new_session=True)
    number = tmp_path / f"hypersplit-vnncomp-{os.getuid()}.pid"
    number.write_text(f"{left.pid}\n")
    while b"hypersplit" not in Path(f"/proc/{left.pid}/cmdline").read_bytes():  # until it has begun
        time.sleep(0.01)
    network, prop = small_files.absolute(tmp_path / "n.onnx"), small_files.holds(tmp_path / "p.vnnlib")
    try:
        run = script("prepare_instance.sh", tmp_path, "v1", "test", network, prop, python=cold_python(tmp_path))
        assert run.returncode == 0, run.stderr
        assert left.wait(20) == -signal.SIGKILL
    finally:
        left.kill()
        left.wait()
    assert not number.exists()


def test_preparing_spares_strangers(tmp_path: Path) -> None:
    """A process that got the old number since, and is not hypersplit, lives on."""
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    (tmp_path / f"hypersplit-vnncomp-{os.getuid()}.pid").write_text(f"{stranger.pid}\n")
    try:
        files = "absent.onnx", "absent.vnnlib"
        script("prepare_instance.sh", tmp_path, "v1", "test", *files, python=cold_python(tmp_path))
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n", timeout=20)
    assert stranger.returncode == 0


@pytest.mark.parametrize("name", ["install_tool.sh", "prepare_instance.sh"])
def test_other_versions_are_refused(name: str, tmp_path: Path) -> None:
    """A version of the competition's interface other than v1 ends with an error and says so."""
    run = script(name, tmp_path, "v2", "test", "a", "b")
    assert run.returncode != 0 and "v1" in run.stderr


def test_the_solver_database_entry_is_this_release() -> None:
    """install.sh is an executable bash script that names the version, and solver.toml tells the same as the package."""
    project = tomllib.loads((SCRIPTS.parents[1] / "pyproject.toml").read_text())["project"]
    script_path = SCRIPTS / "install.sh"
    text = script_path.read_text()
    assert text.startswith("#!/usr/bin/env bash\n") and "\r" not in text and os.access(script_path, os.X_OK)
    assert f"pip install {project['name']}=={project['version']}" in text
    assert subprocess.run(["bash", "-n", str(script_path)], check=False).returncode == 0
    told = tomllib.loads((SCRIPTS / "solver.toml").read_text())
    assert told == {"name": project["name"], "license": project["license"]}


def test_several_networks_are_run(tmp_path: Path) -> None:
    """A list of names and files in the network's place, as the competition hands it over, reaches the verifier."""
    network = small_files.absolute(tmp_path / "f.onnx")
    query = tmp_path / "q.vnnlib"
    tensors = "(declare-network {0} (declare-input X{0} real [2]) (declare-output Y{0} real [1]))"
    query.write_text(
        "(vnnlib-version <2.0>)" + tensors.format("f") + tensors.format("g")
        + "(assert (and (<= 0 Xf[0] 1) (<= 0 Xf[1] 1) (== Xf[0] Xg[0]) (== Xf[1] Xg[1]) (>= Yf[0] (+ Yg[0] 0.25))))"
    )  # fmt: skip
    listed = f"[('f', '{network}'), ('g', '{network}')]"
    assert run_instance(tmp_path, listed, query) == "unsat\n"  # type: ignore[arg-type]
