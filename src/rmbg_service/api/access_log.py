"""One log line for each request, and the metrics of those that run a job."""

import logging
import time

from rmbg_service.api.request_record import RequestRecord
from rmbg_service.serving.metrics import Metrics

log = logging.getLogger("rmbg_service.request")

_QUIET_PATHS = ("/livez", "/readyz", "/health", "/metrics", "/api/jobs/", "/static/")


def log_request(record: RequestRecord, metrics: Metrics) -> None:
    """Log and count a request that has ended; what is polled is logged at the level debug."""
    level = logging.DEBUG if record.path.startswith(_QUIET_PATHS) else logging.INFO
    log.log(level, "request", extra={"fields": record.fields()})
    if record.rejection:
        metrics.rejected.labels(record.rejection).inc()
    if not record.runs_job:
        return
    metrics.requests.labels(record.outcome).inc()
    metrics.request_seconds.observe(time.perf_counter() - record.started)
    for stage, seconds in dict(record.timings.seconds).items():
        metrics.stage_seconds.labels(stage).observe(seconds)
    if record.info is not None and record.outcome != "rejected":
        metrics.image_megapixels.observe(record.info.pixels / 1e6)
    if record.outcome == "ok":
        metrics.response_bytes.observe(record.bytes_out)
