"""Prometheus metrics; docs/operations.md says what each is for."""

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest

from rmbg_service.models.predictor import Predictor
from rmbg_service.serving.timings import STAGES

OUTCOMES = ("ok", "client_error", "rejected", "cancelled", "timeout", "error")
REJECTIONS = ("jobs", "pixels", "deadline", "rate", "not_ready")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0)
_BYTES = (1e4, 1e5, 1e6, 2.5e6, 5e6, 1e7, 2.5e7, 5e7, 1e8)


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

    def name_model(self, model: Predictor) -> None:
        """Set the model's name, device and licence, once it is loaded."""
        self._model.info({"name": model.name, "device": model.device, "licence": model.licence})

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)
