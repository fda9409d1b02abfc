"""Dashboard, alerts and autoscaling, asked of a real Prometheus that has scraped the service."""

import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.fakes import PATH, FakePredictor, picture_bytes
from tests.server import running_server, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus/alerts.yaml"
FIRING = Path(__file__).with_name("alerts.yaml")
PANELS: list[dict[str, Any]] = json.loads(
    (DEPLOY / "grafana/rmbg-service.json").read_text("utf-8")
)["panels"]
PANEL_QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
TRIGGERS = yaml.safe_load((DEPLOY / "kubernetes/keda.yaml").read_text("utf-8"))["spec"]["triggers"]

Ask = Callable[[str], list[dict[str, Any]]]


def program(name: str) -> str:
    """The path of a program of Debian's package prometheus."""
    found = shutil.which(name)
    if found is None:
        pytest.skip("Prometheus is not installed: apt-get install prometheus")
    return found


def promtool(*arguments: str | Path) -> None:
    command = [program("promtool"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_are_valid() -> None:
    promtool("check", "rules", ALERTS)


def test_each_alert_fires_when_it_should() -> None:
    promtool("test", "rules", FIRING)


def test_each_alert_is_tested() -> None:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    tests = yaml.safe_load(FIRING.read_text("utf-8"))["tests"]
    fired = {
        case["alertname"]
        for test in tests
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert fired == alerts


def test_loading_is_told_before_the_pod_is_restarted() -> None:
    deployment = yaml.safe_load((DEPLOY / "kubernetes/cpu/deployment.yaml").read_text("utf-8"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    probe = container["startupProbe"]
    (loading,) = re.findall(r"alert: RmbgNotReady.+?for: (\d+)m", ALERTS.read_text("utf-8"), re.S)
    assert int(loading) * 60 < probe["periodSeconds"] * probe["failureThreshold"]


def configuration(service: str) -> dict[str, Any]:
    """The one in deploy/, for a service at a known address and in a hurry."""
    text = (DEPLOY / "prometheus/prometheus.yaml").read_text("utf-8")
    settings: dict[str, Any] = yaml.safe_load(text)
    settings["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(ALERTS)]
    (job,) = settings["scrape_configs"]
    del job["kubernetes_sd_configs"], job["relabel_configs"]
    job["static_configs"] = [{"targets": [service.removeprefix("http://")]}]
    return settings


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Prometheus' API, after it has scraped a service before and after four requests."""
    folder = tmp_path_factory.mktemp("prometheus")
    log = folder / "log"
    command = [
        program("prometheus"),
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/data",
        "--web.listen-address=127.0.0.1:0",
    ]
    with running_server(FakePredictor()) as service, log.open("w") as output:
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration(service)))
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            address = re.compile(r'msg="Listening on" address=(\S+)')
            wait_until(lambda: address.search(log.read_text()) is not None)
            (port,) = address.findall(log.read_text())
            with httpx.Client(base_url=f"http://{port}/api/v1", timeout=30) as client:
                wait_until(lambda: client.get("http://" + port + "/-/ready").status_code == 200)
                wait_until(lambda: bool(result(client, 'up{job="rmbg"} == 1')))
                headers = {"content-type": "image/png"}
                for body in (picture_bytes(), picture_bytes(), picture_bytes((400, 300)), b"x"):
                    httpx.post(service + PATH, content=body, headers=headers)
                wait_until(
                    lambda: bool(result(client, "increase(rmbg_request_seconds_count[1m]) > 0"))
                )
                yield client
        finally:
            process.kill()
            process.wait()


def result(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    """What an instant query yields."""
    answer = client.get("/query", params={"query": query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


@pytest.mark.parametrize("query", PANEL_QUERIES)
def test_each_panel_shows_data(prometheus: httpx.Client, query: str) -> None:
    query = query.replace("$__rate_interval", "1m").replace("$instance", ".*")
    values = [float(series["value"][1]) for series in result(prometheus, query)]
    assert values
    assert not all(map(math.isnan, values))


@pytest.mark.parametrize("query", [each["metadata"]["query"] for each in TRIGGERS])
def test_each_trigger_of_the_autoscaling_is_one_number(
    prometheus: httpx.Client, query: str
) -> None:
    (series,) = result(prometheus, query)
    assert float(series["value"][1]) >= 0


def test_no_alert_is_pending_for_a_healthy_service(prometheus: httpx.Client) -> None:
    def rules() -> list[dict[str, Any]]:
        (group,) = prometheus.get("/rules").json()["data"]["groups"]
        found: list[dict[str, Any]] = group["rules"]
        return found

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()))
    assert {rule["health"] for rule in rules()} == {"ok"}
    assert {rule["name"] for rule in rules() if rule["state"] != "inactive"} <= {"RmbgErrors"}


def test_no_panel_covers_another_and_none_leaves_a_gap() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in PANELS)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    height = max(y for _, y in cells) + 1
    assert sorted(cells) == [(x, y) for x in range(24) for y in range(height)]
