"""Builds the CPU image and tries it as deploy/ runs it: `make image-test`.

pytest does not collect this file by itself, because it needs root, podman and some minutes.

Where the registry is not reached, a Debian made by mmdebstrap stands in for the base image, and
where PyTorch's index is not reached, the wheel that this machine's pip finds for PyTorch's.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from bench.load import picture
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
NAME = "rmbg-service:cpu"
PROGRAMS = ("podman", "runc", "mmdebstrap")
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
DEBIAN = "bookworm"
"""The release whose Python is that of the base image."""
MAX_IMAGE_BYTES = 1_800_000_000
MAX_CODE_BYTES = 20_000_000
PATIENCE_S = 300
"""For a photo, so that on a busy machine none is late."""
HEADERS = {"Content-Type": "image/jpeg", "Accept": "image/png"}

pytestmark = pytest.mark.timeout(1800)

# crun refuses machines that have both versions of cgroups; the default limits need more privileges.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Podman:
    """podman with a storage of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\n'
        (folder / "storage.conf").write_text(storage + f'runroot = "{folder}/run"\n')
        (folder / "containers.conf").write_text(CONTAINERS_CONF)

    def try_to(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a command of podman."""
        return subprocess.run(
            ["podman", "--log-level", "fatal", *arguments],
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
                "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def __call__(self, *arguments: str | Path) -> str:
        """What a command prints; it must succeed."""
        done = self.try_to(*arguments)
        assert done.returncode == 0, (arguments, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout.strip()


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.exit(f"not installed: {', '.join(missing)}: apt-get install {' '.join(missing)}", 1)
    with tempfile.TemporaryDirectory(prefix="rmbg-image-") as name:
        run = Podman(Path(name))
        try:
            yield run
        finally:
            run.try_to("rm", "--force", "--all", "--time", "0")
            subprocess.run(["umount", "--quiet", f"{name}/storage/overlay"], check=False)


@pytest.fixture(scope="session")
def context(podman: Podman) -> Path:
    """What the build sees, in a folder whose files may be changed."""
    folder = podman.folder / "context"
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, folder)
    for file in ("Dockerfile", ".dockerignore"):
        shutil.copy(ROOT / file, folder)
    return folder


def bring_base_image(podman: Podman) -> None:
    """The image that FROM names, from its registry or made here."""
    (base,) = set(re.findall(r"^FROM (python:\S+)", DOCKERFILE, re.MULTILINE))
    name = f"docker.io/library/{base}"
    if podman.try_to("pull", "--quiet", name).returncode == 0:
        return
    print(f"{name} is not reached: Debian {DEBIAN} stands in for it.")
    archive = podman.folder / "base.tar"
    made = subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=minbase",
            "--include=ca-certificates,python3,python3-venv",
            '--customize-hook=ln -s python3 "$1/usr/bin/python"',
            DEBIAN, archive,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr[-3000:]
    podman("import", "--quiet", archive, name)
    archive.unlink()


def torch_options(podman: Podman) -> list[str]:
    """Options of the build for a machine that does not reach PyTorch's index; else none."""
    ((host, path),) = re.findall(r"--index-url https://([^/]+)(/\S+/cpu) torch", DOCKERFILE)
    (python,) = set(re.findall(r"^FROM python:([\d.]+)", DOCKERFILE, re.MULTILINE))
    try:
        urllib.request.urlopen(f"https://{host}{path}/torch/", timeout=5).close()
    except OSError:
        print(f"{host} is not reached: the wheel of this machine's pip stands in for its.")
    else:
        return []
    wheels = podman.folder / "wheels"
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--dest", wheels,
            "--only-binary=:all:", f"--python-version={python}",
            "--constraint", ROOT / "constraints.txt", "torch",
        ],
        check=True,
    )  # fmt: skip
    pip = podman.folder / "pip.conf"
    pip.write_text(f"[global]\ncert = {CA_BUNDLE}\nfind-links = /wheels\n")
    mounts = {wheels: "/wheels", pip: "/etc/pip.conf", CA_BUNDLE: str(CA_BUNDLE)}
    volumes = [f"--volume={source}:{target}:ro" for source, target in mounts.items()]
    return [f"--add-host={host}:127.0.0.1", *volumes]


@pytest.fixture(scope="session")
def build_options(podman: Podman) -> list[str]:
    bring_base_image(podman)
    return torch_options(podman)


def build(podman: Podman, context: Path, options: list[str]) -> None:
    began = time.monotonic()
    podman(
        "build", "--isolation=chroot", "--network=host", "--format=docker", "--layers",
        "--target=cpu", f"--tag={NAME}", *options, context,
    )  # fmt: skip
    print(f"built in {time.monotonic() - began:.0f} s")


@pytest.fixture(scope="session", autouse=True)
def image(podman: Podman, context: Path, build_options: list[str]) -> str:
    """The name of the image."""
    build(podman, context, build_options)
    return NAME


@contextmanager
def running(podman: Podman, *options: str) -> Iterator[tuple[str, httpx.Client]]:
    """A container that is ready, as deploy/ runs it, and a client of it."""
    models = Path(tempfile.mkdtemp(dir=podman.folder))
    models.chmod(0o777)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    container = podman(
        "run", "--detach", "--network=host", "--env=RMBG_HOST=127.0.0.1", f"--env=RMBG_PORT={port}",
        "--memory=6g", "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp",
        f"--volume={models}:/models", "--cap-drop=all", "--security-opt=no-new-privileges",
        *options, NAME,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
            await_ready(podman, container, client)
            yield container, client
    finally:
        podman("rm", "--force", "--time", "0", container)


def await_ready(podman: Podman, container: str, client: httpx.Client) -> None:
    for _ in range(600):
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert podman("inspect", "--format={{.State.Running}}", container) == "true"
        threading.Event().wait(0.1)
    pytest.fail(podman("logs", container)[-3000:])


@pytest.fixture(scope="module")
def container(podman: Podman) -> Iterator[tuple[str, httpx.Client]]:
    with running(podman) as both:
        yield both


def layers(podman: Podman) -> list[str]:
    digests: list[str] = json.loads(podman("inspect", "--format={{json .RootFS.Layers}}", NAME))
    return digests


def test_the_size_is_bounded(podman: Podman) -> None:
    size = int(podman("inspect", "--format={{.Size}}", NAME))
    print(f"{size / 1e9:.2f} GB in {len(layers(podman))} layers:")
    history = podman("history", "--format={{.Size}}\t{{.CreatedBy}}", NAME)
    for line in history.splitlines():
        if not line.startswith("0 B"):
            print(f"  {line[:90]}")
    assert size < MAX_IMAGE_BYTES


def test_every_version_is_the_one_that_was_tested(podman: Podman) -> None:
    script = (
        "from importlib.metadata import distributions\n"
        "for each in distributions(): print(each.name, each.version)"
    )
    listed = podman("run", "--rm", "--entrypoint=python", NAME, "-c", script).splitlines()
    installed = {canonicalize_name(name): version for name, version in map(str.split, listed)}
    pins = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate():
                pins[canonicalize_name(pin.name)] = pin.specifier
    del installed[canonicalize_name("rmbg-service")]
    assert "pip" not in installed
    assert {"torch", "onnxruntime", "openvino", "fastapi"} <= installed.keys()
    others = {
        name: version
        for name, version in installed.items()
        if name not in pins or not pins[name].contains(version)
    }
    assert others == {}


def test_it_has_no_privileges(podman: Podman, container: tuple[str, httpx.Client]) -> None:
    name, _ = container
    assert podman("exec", name, "id", "-u") == "10001"
    status = podman("exec", name, "cat", "/proc/1/status")
    assert re.findall(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert podman.try_to("exec", name, "touch", "/opt/venv/new").returncode != 0


def test_it_is_healthy(podman: Podman, container: tuple[str, httpx.Client]) -> None:
    name, _ = container
    podman("healthcheck", "run", name)


def test_a_photo_is_cut_out(container: tuple[str, httpx.Client]) -> None:
    _, client = container
    answer = client.post("/api/remove-bg", content=picture(1154, 866), headers=HEADERS)
    assert answer.status_code == 200, answer.text
    cutout = np.asarray(Image.open(BytesIO(answer.content)))
    assert cutout.shape == (866, 1154, 4)
    assert cutout[433, 577, 3] == 255
    assert (cutout[[0, 0, -1, -1], [0, -1, 0, -1], 3] < 10).all()


def test_sigterm_lets_admitted_requests_finish(podman: Podman) -> None:
    photo = picture(4000, 3000)
    patient = f"--env=RMBG_REQUEST_TIMEOUT_S={PATIENCE_S}"
    with running(podman, patient) as (name, client), ThreadPoolExecutor(6) as pool:
        posts = [
            pool.submit(client.post, "/api/remove-bg", content=photo, headers=HEADERS)
            for _ in range(6)
        ]
        while client.get("/health").json()["queue"]["jobs"] < 6:
            threading.Event().wait(0.005)
        podman("stop", "--time", str(PATIENCE_S + 15), name)
        assert [post.result().status_code for post in posts] == [200] * 6
        assert podman("inspect", "--format={{.State.ExitCode}}", name) == "0"


def test_a_changed_line_of_the_source_costs_one_small_layer(
    podman: Podman, context: Path, build_options: list[str]
) -> None:
    before = layers(podman)
    with (context / "src/rmbg_service/__init__.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    build(podman, context, build_options)
    after = layers(podman)
    assert after[:-1] == before[:-1]
    assert after[-1] != before[-1]
    assert 0 < json.loads(podman("history", "--format=json", NAME))[0]["size"] < MAX_CODE_BYTES
