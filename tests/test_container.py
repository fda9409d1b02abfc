"""What Dockerfile and compose name exists; `make image-test` builds the image and runs it."""

import json
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from rmbg_service.api.app import create_app
from rmbg_service.cli import app as commands
from rmbg_service.diagnostics.memory import peak_job_bytes
from rmbg_service.models.catalog import find
from rmbg_service.models.store import Store
from rmbg_service.settings import Settings
from tests.fakes import FakePredictor

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint is not None
    done = subprocess.run(
        [hadolint, "--failure-threshold", "style", ROOT / "Dockerfile"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_every_copied_path_exists_and_is_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text("utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists()
            assert f"!{source}" in let_through.splitlines()


def test_the_cuda_image_has_the_gpu_build_of_onnx_runtime_and_no_other() -> None:
    (edit,) = re.findall(r"sed -i 's/\^(.+?)/(.+?)/' requirements.txt", DOCKERFILE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    edited = [re.sub(f"^{edit[0]}", edit[1], line) for line in project["dependencies"]]
    installed = [line for line in edited if line.startswith("onnxruntime")]
    assert installed == project["optional-dependencies"]["gpu"]


def test_nothing_in_the_image_reports_its_use() -> None:
    for variable in ("ORT_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_TELEMETRY=1"):
        assert variable in DOCKERFILE


def test_the_health_check_asks_the_port_that_is_listened_on() -> None:
    (check,) = re.findall(r"HEALTHCHECK .+?CMD (\[.+?\])$", DOCKERFILE, re.DOTALL | re.MULTILINE)
    program, flag, code = json.loads(check)
    assert (program, flag) == ("python", "-c")
    asked: list[str] = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        port = {"RMBG_PORT": str(server.server_port)}
        subprocess.run([sys.executable, flag, code], env=port, check=True)
        thread.join()
    assert asked == ["/livez"]


def test_compose_gives_the_container_no_more_than_it_needs() -> None:
    for service in COMPOSE["services"].values():
        assert service["init"] is True
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_entry_point_is_the_project_s_command() -> None:
    entry = re.search(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)
    command = re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert entry is not None
    assert command is not None
    (script,) = json.loads(entry[1])
    assert script in PROJECT["scripts"]
    shown = CliRunner().invoke(commands, [*json.loads(command[1]), "--help"])
    assert shown.exit_code == 0


def test_ports_probes_variables_and_targets_agree() -> None:
    port = str(Settings.model_fields["port"].default)
    assert f"EXPOSE {port}" in DOCKERFILE
    assert f"RMBG_PORT={port}" in DOCKERFILE
    paths = create_app(Settings(), FakePredictor()).openapi()["paths"]
    everything = DOCKERFILE + (ROOT / "docker-compose.yml").read_text("utf-8")
    probes = re.findall(r"http://127\.0\.0\.1:\S+?(/\w+)", everything)
    assert len(probes) == 2
    assert set(probes) <= paths.keys()
    targets = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
    for service in COMPOSE["services"].values():
        assert service["build"]["target"] in targets
        assert service["ports"] == [f"${{LISTEN:-127.0.0.1}}:${{RMBG_PORT:-{port}}}:{port}"]
    for variable in re.findall(r"RMBG_\w+", everything):
        assert variable.removeprefix("RMBG_").lower() in Settings.model_fields


def test_what_was_admitted_may_finish_before_the_container_is_killed() -> None:
    grace_s = int(COMPOSE["services"]["rmbg"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > Settings().request_timeout_s + 10


def test_compose_passes_on_what_a_model_needs_to_start() -> None:
    for service in COMPOSE["services"].values():
        for variable in ("RMBG_MODEL", "RMBG_ACCEPT_LICENSE", "HF_TOKEN"):
            assert service["environment"][variable] == f"${{{variable}:-}}"


def test_the_image_with_weights_is_built_on_one_that_exists_and_serves_what_it_holds() -> None:
    models = (ROOT / "docs" / "models.md").read_text("utf-8")
    (recipe,) = re.findall(r"```dockerfile\n(.+?)```", models, re.DOTALL)
    bases = re.findall(r"^FROM (\S+)", recipe, re.MULTILINE)
    assert set(bases) <= {service["image"] for service in COMPOSE["services"].values()}
    served = re.findall(r"^ENV (.+)$", recipe, re.MULTILINE)[-1]
    variables = dict(pair.split("=") for pair in served.split())
    values = {name.removeprefix("RMBG_").lower(): value for name, value in variables.items()}
    store = Store.of(Settings(**values))
    model = find(values["model"])
    assert model is not None
    assert store.path(model) == Path("/opt/weights/RMBG-2.0/model.safetensors")
    volume = COMPOSE["services"]["rmbg"]["volumes"][0].partition(":")[2]
    assert not store.folder.is_relative_to(volume)  # it would hide them


@pytest.mark.parametrize("page", ["docs/models.md", "docs/zh/models.md"])
def test_every_command_on_models_in_the_documents_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    blocks = "\n".join(re.findall(r"```(?:sh|dockerfile)\n(.+?)```", text, re.DOTALL))
    lines = re.findall(r"rmbg-service models (\w+)(.*?)(?:&&|$)", blocks, re.MULTILINE)
    assert {command for command, _ in lines} >= {"pull", "show", "export", "import"}
    for command, arguments in lines:
        assert CliRunner().invoke(commands, ["models", command, "--help"]).exit_code == 0
        for name in re.findall(r" ((?:RMBG|BiRefNet)\S*)", arguments):
            assert find(name) is not None


def test_compose_has_the_gpu_the_token_and_the_weights() -> None:
    gpu = COMPOSE["services"]["rmbg-gpu"]
    assert gpu["profiles"] == ["gpu"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert "HF_TOKEN" in gpu["environment"]
    assert gpu["volumes"] == ["models:/models"]
    assert "HF_HOME=/models" in DOCKERFILE
    assert gpu["restart"] == "unless-stopped"


def test_the_compose_memory_fits_the_default_bounds() -> None:
    limit = int(COMPOSE["services"]["rmbg"]["mem_limit"].removesuffix("g")) * 2**30
    assert peak_job_bytes(Settings(codec_threads=4)) + 1_000_000_000 < limit
