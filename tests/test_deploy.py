"""No cluster runs here; so what the files under deploy/ name is checked to exist."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import promql_parser
import pytest
import yaml

from rmbg_service.api.app import create_app
from rmbg_service.diagnostics.memory import peak_job_bytes
from rmbg_service.settings import Settings
from tests.fakes import FakePredictor

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DEPLOY = ROOT / "deploy"
MANIFESTS: list[dict[str, Any]] = [
    yaml.safe_load(path.read_text("utf-8"))
    for path in sorted(DEPLOY.glob("kubernetes/**/*.yaml"))
    if path.name != "kustomization.yaml"
]
SCALING = next(each for each in MANIFESTS if each["kind"] == "ScaledObject")
DEPLOYMENT, GPU_PATCH = (each for each in MANIFESTS if each["kind"] == "Deployment")
POD = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
ALERTS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text("utf-8"))
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/rmbg-service.json").read_text("utf-8"))


UNIT = DEPLOY / "systemd/rmbg-service.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit of systemd with a program that exists here."""
    text, count = re.subn(
        r"(?<=^ExecStart=)\S+", sys.executable, UNIT.read_text("utf-8"), flags=re.M
    )
    assert count == 1
    copied = tmp_path / UNIT.name
    copied.write_text(text, "utf-8")
    return copied


def systemd_analyze(*arguments: str | Path) -> str:
    """What it prints; it must be content."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd is not installed")
    command = [program, "--no-pager", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    assert systemd_analyze("verify", unit) == ""


def test_the_unit_exposes_little(unit: Path) -> None:
    """15 of 100, where 92 is a unit without any protection."""
    systemd_analyze("security", "--offline=true", "--threshold=15", unit)


def test_the_unit_waits_as_long_as_the_process_may_take() -> None:
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text("utf-8"), re.M)
    assert int(stop) >= Settings().request_timeout_s + 10


def queries() -> list[str]:
    """Every PromQL expression under deploy/, Grafana's own variables filled in."""
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [
        *[trigger["metadata"]["query"] for trigger in SCALING["spec"]["triggers"]],
        *[rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]],
        *[expr.replace("$__rate_interval", "1m").replace("$instance", ".*") for expr in panels],
    ]


@pytest.mark.parametrize("query", queries())
def test_every_query_asks_for_a_metric_and_labels_that_the_service_has(query: str) -> None:
    metrics = create_app(Settings(), FakePredictor()).state.engine.metrics
    metrics.name_model(FakePredictor())
    samples = [sample for metric in metrics.registry.collect() for sample in metric.samples]
    promql_parser.parse(query)
    for name, inside in re.findall(r"\b((?:rmbg|process)_\w+)({[^}]*})?", query):
        same = [sample for sample in samples if sample.name == name]
        assert same, name
        for label, values in re.findall(r'(\w+)=~?"([^"]+)"', inside):
            if label not in ("job", "instance"):  # Prometheus' own
                assert set(values.split("|")) <= {sample.labels[label] for sample in same}


def test_the_manifests_fit_kubernetes_own_schemas() -> None:
    kinds = [each["kind"] for each in MANIFESTS]
    for each in MANIFESTS:
        if each["kind"] != "ScaledObject" and each is not GPU_PATCH:  # KEDA's own, and a part
            kubernetes_validate.validate(each, "1.30", strict=True)
    assert sorted(set(kinds)) == [
        "Deployment", "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget",
        "ScaledObject", "Service",
    ]  # fmt: skip


def test_kustomizations_name_every_manifest() -> None:
    named = set()
    for path in DEPLOY.glob("kubernetes/*/kustomization.yaml"):
        content = yaml.safe_load(path.read_text("utf-8"))
        patches = [patch["path"] for patch in content.get("patches", [])]
        named |= {(path.parent / name).resolve() for name in content["resources"] + patches}
    files = {path.resolve() for path in DEPLOY.glob("kubernetes/*/*.yaml")}
    files = {path for path in files if path.name != "kustomization.yaml"}
    assert named == files | {DEPLOY / "kubernetes/cpu"}


def test_the_manifests_agree_with_each_other_and_with_the_image() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    for each in MANIFESTS:
        match each["kind"]:
            case "Service":
                assert each["spec"]["selector"] == labels
            case "PodDisruptionBudget":
                assert each["spec"]["selector"]["matchLabels"] == labels
            case "NetworkPolicy":
                assert each["spec"]["podSelector"]["matchLabels"] == labels
                (rule,) = each["spec"]["ingress"]
                assert rule["ports"] == [{"port": CONTAINER["ports"][0]["name"]}]
            case "PersistentVolumeClaim":
                (volume,) = GPU_PATCH["spec"]["template"]["spec"]["volumes"]
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert each["metadata"]["name"] == claim
            case "Deployment" | "ScaledObject":
                assert each["metadata"]["name"] == "rmbg"
    assert SCALING["spec"]["scaleTargetRef"]["name"] == DEPLOYMENT["metadata"]["name"]
    (port,) = CONTAINER["ports"]
    assert port["containerPort"] == Settings.model_fields["port"].default
    assert POD["securityContext"]["runAsUser"] == int(re.findall(r"--uid (\d+)", DOCKERFILE)[0])
    assert {mount["mountPath"] for mount in CONTAINER["volumeMounts"]} == {"/models", "/tmp"}
    (gpu,) = GPU_PATCH["spec"]["template"]["spec"]["containers"]
    built = {service["image"] for service in COMPOSE["services"].values()}
    assert {CONTAINER["image"], gpu["image"]} == built
    for variable in [*CONTAINER["env"], *gpu["env"]]:
        if variable["name"] != "HF_TOKEN":
            assert variable["name"].removeprefix("RMBG_").lower() in Settings.model_fields


def test_pods_are_probed_where_the_service_answers_and_may_finish() -> None:
    paths = create_app(Settings(), FakePredictor()).openapi()["paths"]
    probes = {
        name: probe["httpGet"]["path"] for name, probe in CONTAINER.items() if "Probe" in name
    }
    assert probes == {
        "startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"
    }  # fmt: skip
    assert set(probes.values()) <= paths.keys()
    before_s = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] > before_s + Settings().request_timeout_s + 10
    limit = int(CONTAINER["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30
    threads = min(4, int(CONTAINER["resources"]["limits"]["cpu"]))
    assert peak_job_bytes(Settings(codec_threads=threads)) + 1_000_000_000 < limit
    assert POD["enableServiceLinks"] is False  # RMBG_PORT=tcp://... stops the start
    assert POD["shareProcessNamespace"] is True  # process 1 has no SIGTERM before its handler


def test_prometheus_finds_the_pods_and_the_alerts() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text("utf-8"))
    for name in config["rule_files"]:
        assert (DEPLOY / "prometheus" / name).exists()
    (job,) = config["scrape_configs"]
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    kept = {rule["source_labels"][0]: rule.get("regex") for rule in job["relabel_configs"]}
    assert kept["__meta_kubernetes_pod_label_app_kubernetes_io_name"] in labels.values()
    assert kept["__meta_kubernetes_pod_container_port_name"] == CONTAINER["ports"][0]["name"]
    for query in queries():
        for name in re.findall(r'job="(\w+)"', query):
            assert name == job["job_name"]
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert {"summary", "description"} <= rule["annotations"].keys()
            assert rule["labels"]["severity"] in ("warning", "critical")
