"""`make serve` must not download CUDA libraries to a machine without a GPU, and must not hang."""

import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "install.sh"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


class Index(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/torch/" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[str]:
    """The address of a package index that answers."""
    with HTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


class Machine:
    """A machine on which pip is recorded, not run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "pip.log"
        self.system("Linux")
        self.pip_status = 0
        self.torch_index: str | None = None

    def system(self, name: str) -> None:
        program(self.folder, "uname", f"echo {name}")

    def install(self, *extras: str) -> list[str]:
        """Run the script; what pip was told, one line a call."""
        python = program(
            self.folder,
            "python",
            f'if [ "$1" = -c ]; then exec {sys.executable} "$@"; fi\necho "$@" >> {self.log}\n'
            f'case "$*" in *--index-url*) exit {self.pip_status};; esac',
        )
        variables = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        if self.torch_index is not None:
            variables["TORCH_INDEX"] = self.torch_index
        subprocess.run(
            [SCRIPT, python, *extras], env=variables, cwd=ROOT, check=True, capture_output=True
        )
        prefix = "-m pip install --quiet --constraint constraints.txt "
        lines = self.log.read_text().splitlines()
        assert all(line.startswith(prefix) for line in lines)
        return [line.removeprefix(prefix) for line in lines]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def make_environment(folder: Path, python: str) -> "subprocess.CompletedProcess[str]":
    """Have make create the virtual environment in `folder` with this Python, a shell script."""
    shutil.copy(ROOT / "Makefile", folder)
    command = ["make", ".venv/bin/python", f"PYTHON={program(folder, 'python', python)}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_an_old_python_is_refused_by_its_version(tmp_path: Path) -> None:
    old = "import sys; sys.version_info = (3, 10, 13); exec(sys.argv[1])"
    done = make_environment(tmp_path, f"exec {sys.executable} -c '{old}' \"$2\"")
    assert done.returncode != 0
    assert "expected Python 3.11 or newer, got 3.10: name another one" in done.stderr
    required = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert required["requires-python"] == ">=3.11"


def test_an_environment_that_could_not_be_finished_is_not_kept(tmp_path: Path) -> None:
    unfinished = "mkdir -p .venv/bin; touch .venv/bin/python; exit 1"  # Debian without python3-venv
    done = make_environment(tmp_path, f"case $1 in -m) {unfinished};; esac")
    assert done.returncode != 0
    assert not (tmp_path / ".venv").exists()


def test_torch_comes_from_the_index_first_then_the_rest(machine: Machine, index: str) -> None:
    machine.torch_index = index
    assert machine.install("dev") == [
        f"--no-deps --index-url {index} torch",
        "--editable .[dev]",
    ]


def test_an_index_that_does_not_answer_is_left_alone(machine: Machine) -> None:
    machine.torch_index = "http://127.0.0.1:9"
    assert machine.install() == ["--editable ."]


def test_an_index_that_fails_does_not_end_the_installation(machine: Machine, index: str) -> None:
    machine.torch_index, machine.pip_status = index, 1
    assert machine.install()[-1] == "--editable ."


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_with_a_gpu_or_off_linux_the_default_build_is_taken(machine: Machine, system: str) -> None:
    machine.system(system)
    program(machine.folder, "nvidia-smi", "exit 0")
    asked = machine.folder / "asked"
    program(machine.folder, "timeout", f"touch {asked}; exit 1")
    assert machine.install() == ["--editable ."]
    assert not asked.exists()


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this machine has a GPU")
def test_without_a_gpu_the_cpu_index_is_asked(machine: Machine) -> None:
    program(machine.folder, "nvidia-smi", "exit 9")
    asked = machine.folder / "asked"
    program(machine.folder, "timeout", f'echo "$@" > {asked}')
    assert machine.install()[0] == f"--no-deps --index-url {CPU_INDEX} torch"
    assert f"{CPU_INDEX}/torch/" in asked.read_text()


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    assert shellcheck is not None
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
