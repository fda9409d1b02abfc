"""The gauges among the metrics: what an engine is doing, read when they are scraped."""

from collections.abc import Callable, Iterator
from functools import partial

from prometheus_client import Gauge, ProcessCollector
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from rmbg_service.serving.engine import Engine
from rmbg_service.serving.logs import dropped_lines
from rmbg_service.serving.state import State


def add_gauges(engine: Engine) -> None:
    """Add them to the engine's metrics, with those of this process."""
    registry = engine.metrics.registry
    budget, predictor = engine.budget, engine.predictor
    gauges: dict[str, tuple[str, Callable[[], float]]] = {
        "rmbg_queue_depth": (
            "Jobs decoded and waiting to be predicted",
            engine.worker.queue_depth,
        ),
        "rmbg_inflight_jobs": ("Jobs admitted and not finished", lambda: budget.jobs),
        "rmbg_inflight_jobs_limit": ("The most allowed", lambda: budget.max_jobs),
        "rmbg_inflight_pixels": ("Pixels of those jobs", lambda: budget.pixels),
        "rmbg_inflight_pixels_limit": ("The most allowed", lambda: budget.max_pixels),
        "rmbg_predict_ewma_seconds": (
            "Moving average of the predictor's time for a job",
            lambda: engine.service_time.predict_s,
        ),
        "rmbg_estimated_wait_seconds": (
            "How long a new request would wait for its turn",
            lambda: budget.estimated_wait_s,
        ),
        "rmbg_stuck_threads": (
            "Threads that have not come back from an image in time",
            lambda: engine.stuck_threads,
        ),
        "rmbg_device_memory_bytes": (
            "Memory held on the accelerator; 0 on the CPU",
            lambda: predictor.device_memory_bytes,
        ),
    }
    for name, (text, read) in gauges.items():
        Gauge(name, text, registry=registry).set_function(read)
    states = Gauge("rmbg_state", "1 for the current state", ["state"], registry=registry)
    for state in State:
        states.labels(state.value).set_function(partial(_is, engine, state))
    registry.register(_LogLines())
    ProcessCollector(registry=registry)


class _LogLines(Collector):
    """Lines that the log has dropped; counted outside, for the whole process."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The counter as it is now."""
        yield CounterMetricFamily(
            "rmbg_log_lines_dropped", "Log lines that nobody read in time", value=dropped_lines()
        )


def _is(engine: Engine, state: State) -> float:
    return float(engine.state is state)
