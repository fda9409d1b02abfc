"""Two replicas on a real cluster, from the config that is in deploy/."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from rmbg_service.client import Client, Retries, ServiceUnavailable
from rmbg_service.cluster.serve import Arguments, build
from rmbg_service.errors import ConfigurationError
from tests.fakes import picture_bytes
from tests.ray_cluster import free_port, running_cluster, workers

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "deploy" / "ray" / "serve.yaml"
REPLICA = "ServeReplica:rmbg-service:Service"
PHOTO = picture_bytes((200, 150))
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_settings_that_cannot_be_are_one_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="RMBG_NO_SUCH_SETTING"):
        build(Arguments(settings={"no_such_setting": 1}))


def config(port: int, **settings: Any) -> dict[str, Any]:
    """The config of deploy/, with two small replicas on the loopback interface."""
    loaded: dict[str, Any] = yaml.safe_load(CONFIG.read_text("utf-8"))
    loaded["http_options"] |= {"host": "127.0.0.1", "port": port}
    (application,) = loaded["applications"]
    application["args"]["settings"] |= settings
    (deployment,) = application["deployments"]
    del deployment["autoscaling_config"]
    deployment |= {"num_replicas": 2, "ray_actor_options": {"num_cpus": 1}}
    return loaded


def deploy(address: str, folder: Path, loaded: dict[str, Any]) -> None:
    path = folder / "serve.yaml"
    path.write_text(yaml.safe_dump(loaded))
    serve = str(Path(sys.executable).with_name("serve"))
    command = [serve, "run", "--address", address, "--non-blocking", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)


def statuses(client: Client, count: int) -> list[tuple[int, int]]:
    """The status and the Retry-After of `count` requests that are sent at once."""

    def one(_: int) -> tuple[int, int]:
        try:
            client.remove(PHOTO, detail="off")
        except ServiceUnavailable as error:
            return error.status_code or 0, error.retry_after_s
        return 200, 0

    with ThreadPoolExecutor(count) as threads:
        return [*threads.map(one, range(count))]


def replicas() -> set[int]:
    """The process ids of the replicas."""
    return {process.pid for process in workers(REPLICA)}


def pause() -> None:
    """Leave the CPU to the cluster for a moment: to start replicas is what takes the time."""
    threading.Event().wait(0.25)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        pause()
    raise AssertionError("the condition never came true")


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_two_replicas_refuse_by_their_gates_and_survive_a_kill_and_an_update(
    tmp_path: Path,
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    small = {"max_inflight_jobs": 4, "codec_threads": 1, "cpu_threads": 1}
    with (
        running_cluster(1, num_cpus=3) as cluster,
        Client(url, retries=Retries(0, 0)) as client,
    ):
        deploy(cluster.address, tmp_path, config(port, **small))
        wait_until(lambda: ready(url) and len(workers(REPLICA)) == 2)

        burst = statuses(client, 60)
        assert {status for status, _ in burst} == {200, 429}
        assert all(retry_after > 0 for status, retry_after in burst if status == 429)

        before = replicas()
        os.kill(min(before), signal.SIGKILL)
        wait_until(lambda: min(before) not in replicas())
        assert statuses(client, 1) == [(200, 0)]
        while len(replicas()) < 2:
            assert statuses(client, 1) == [(200, 0)]
            pause()

        before = replicas()
        stop, seen = threading.Event(), Counter[int]()

        def keep_asking() -> None:
            while not stop.is_set():
                seen.update(status for status, _ in statuses(client, 1))
                pause()

        asking = [threading.Thread(target=keep_asking) for _ in range(2)]
        for thread in asking:
            thread.start()
        deploy(cluster.address, tmp_path, config(port, **small, max_image_side=9000))
        wait_until(lambda: not before & replicas())
        stop.set()
        for thread in asking:
            thread.join()
        assert seen[200] > 0
        assert {*seen} <= {200, 429}
