"""Prometheus metrics; docs/operations.md says what each is for."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from rmbg_service.models.predictor import Predictor
from rmbg_service.serving.admission import Budget, ServiceTime
from rmbg_service.serving.logs import dropped_lines
from rmbg_service.serving.state import State
from rmbg_service.serving.timings import STAGES

OUTCOMES = ("ok", "client_error", "rejected", "cancelled", "timeout", "error")
REJECTIONS = ("jobs", "pixels", "deadline", "rate", "not_ready")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0)
_BYTES = (1e4, 1e5, 1e6, 2.5e6, 5e6, 1e7, 2.5e7, 5e7, 1e8)


class Queue(Protocol):
    """What waits for the predictor."""

    def queue_depth(self) -> int:
        """Jobs decoded and waiting to be predicted."""


class Observed(Protocol):
    """The parts of an engine that the gauges read."""

    @property
    def state(self) -> State:
        """The state of the service."""

    @property
    def budget(self) -> Budget:
        """Jobs and pixels in flight."""

    @property
    def service_time(self) -> ServiceTime:
        """Moving averages of the time of one job."""

    @property
    def predictor(self) -> Predictor:
        """The model."""

    @property
    def stuck_threads(self) -> int:
        """Threads that have not come back from an image in time."""

    @property
    def worker(self) -> Queue:
        """The predictor's queue."""


class Metrics:
    """All metrics of one app, in a registry of its own, so that tests can make many."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "rmbg_requests", "Removal requests by outcome", ["outcome"], registry=self.registry
        )
        self.rejected = Counter(
            "rmbg_rejected", "Requests refused for load", ["reason"], registry=self.registry
        )
        self.stage_seconds = Histogram(
            "rmbg_stage_seconds",
            "Time in each stage of a job",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "rmbg_request_seconds",
            "Time of a removal request, first byte in to last byte out",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.image_megapixels = Histogram(
            "rmbg_image_megapixels",
            "Size of the admitted images",
            buckets=(0.25, 0.5, 1, 2, 4, 8, 12, 16, 24, 36, 50, 100),
            registry=self.registry,
        )
        self.response_bytes = Histogram(
            "rmbg_response_bytes", "Size of the responses", buckets=_BYTES, registry=self.registry
        )
        self.device_oom = Counter(
            "rmbg_device_oom",
            "Predictions that ran out of device memory",
            registry=self.registry,
        )
        self._model = Info("rmbg_model", "The model in use", registry=self.registry)
        for outcome in OUTCOMES:
            self.requests.labels(outcome)
        for reason in REJECTIONS:
            self.rejected.labels(reason)
        for stage in STAGES:
            self.stage_seconds.labels(stage)

    def watch(self, engine: Observed) -> None:
        """Add the gauges, which read the engine when they are scraped."""
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
            Gauge(name, text, registry=self.registry).set_function(read)
        states = Gauge("rmbg_state", "1 for the current state", ["state"], registry=self.registry)
        for state in State:
            states.labels(state.value).set_function(partial(_is, engine, state))
        self.registry.register(_LogLines())
        ProcessCollector(registry=self.registry)

    def name_model(self, **labels: str) -> None:
        """Set the model's name, device and licence, once it is loaded."""
        self._model.info(labels)

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _LogLines(Collector):
    """Lines that the log has dropped; counted outside, for the whole process."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The counter as it is now."""
        yield CounterMetricFamily(
            "rmbg_log_lines_dropped", "Log lines that nobody read in time", value=dropped_lines()
        )


def _is(engine: Observed, state: State) -> float:
    return float(engine.state is state)
