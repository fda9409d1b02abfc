import pytest
from prometheus_client.parser import text_string_to_metric_families

from rmbg_service.serving.engine import Engine
from rmbg_service.serving.gauges import add_gauges
from rmbg_service.serving.metrics import Metrics
from rmbg_service.serving.state import State
from rmbg_service.settings import Settings
from tests.fakes import FakePredictor


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_gauges_show_the_engine_as_it_is_when_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(FakePredictor(), Settings())
    monkeypatch.setattr(engine.worker, "queue_depth", lambda: 3)
    add_gauges(engine)
    assert samples(engine.metrics)["rmbg_inflight_jobs", frozenset()] == 0
    engine.budget.reserve(1).grow(700)
    engine.state = State.READY
    values = samples(engine.metrics)
    assert values["rmbg_inflight_jobs", frozenset()] == 1
    assert values["rmbg_inflight_pixels", frozenset()] == 700
    assert values["rmbg_queue_depth", frozenset()] == 3
    assert values["rmbg_state", frozenset({("state", "ready")})] == 1
    assert values["rmbg_state", frozenset({("state", "loading")})] == 0


def test_times_up_to_the_deadline_are_told_apart() -> None:
    metrics = Metrics()
    for seconds in (12, 17, 25):
        metrics.request_seconds.observe(seconds)
    values = samples(metrics)
    counts = [
        values["rmbg_request_seconds_bucket", frozenset({("le", bound)})]
        for bound in ("10.0", "15.0", "20.0", "30.0")
    ]
    assert counts == [0, 1, 2, 3]
