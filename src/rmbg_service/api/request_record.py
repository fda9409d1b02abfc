"""What is known of one HTTP request, from its first byte to its log line."""

import asyncio
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from rmbg_service.api.guard import Guard
from rmbg_service.errors import ClientError, DeadlineExceeded, NotReady, Overloaded, Rejected
from rmbg_service.imaging.source import ImageInfo
from rmbg_service.serving.admission import Reservation
from rmbg_service.serving.fair_share import Visit
from rmbg_service.serving.timings import StageTimings

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass
class RequestRecord:
    """Filled on the way; read once, by the metrics and the log. Holds no pixels, names or keys.

    `visit` counts what the request uses. `guard` is what the gate applied to it, `client` the index
    of the API key that was used. If the key is optional, `has_key` says whether it came. The client
    waits at most `wait_limit_s`; the service works for at most `time_limit_s`, which is until
    `deadline` on `time.monotonic`'s clock, once the last byte of the body is in. `job` is the task
    that reads the header, then the job itself; `reservation` is what the request and its job hold
    together.
    """

    id: str
    method: str
    path: str
    visit: Visit
    guard: Guard | None = None
    client: int = 0
    has_key: bool = True
    wait_limit_s: float = float("inf")
    time_limit_s: float = float("inf")
    deadline: float = float("inf")
    started: float = field(default_factory=time.perf_counter)
    reservation: Reservation | None = None
    job: "asyncio.Task[Any] | None" = None
    timings: StageTimings = field(default_factory=StageTimings)
    info: ImageInfo | None = None
    status: int = 0
    outcome: str = "ok"
    rejection: str = ""
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def runs_job(self) -> bool:
        """Whether its route runs a job."""
        return self.guard is not None and self.guard.runs_job

    def fail(self, error: Exception) -> None:
        """Note the metrics' labels for a request that ended in `error`."""
        self.outcome = _outcome_of(error)
        if isinstance(error, Overloaded):
            self.rejection = error.reason
        elif isinstance(error, NotReady):
            self.rejection = "not_ready"

    def fields(self) -> dict[str, object]:
        """The members of the log line."""
        fields: dict[str, object] = {
            "request_id": self.id,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "outcome": self.outcome,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "ms": round((time.perf_counter() - self.started) * 1e3, 1),
        }
        if self.info is not None:
            fields |= {
                "format": self.info.format,
                "width": self.info.width,
                "height": self.info.height,
            }
        fields |= {f"{name}_ms": ms for name, ms in self.timings.milliseconds().items()}
        return fields


InFlight = dict[str, RequestRecord]
"""The admitted requests by their id."""


def request_id(proposed: str) -> str:
    """The client's own id if it is a safe one, else a new one."""
    return proposed if _REQUEST_ID.fullmatch(proposed) else secrets.token_hex(8)


def _outcome_of(error: Exception) -> str:
    if isinstance(error, ClientError):
        return "client_error"
    if isinstance(error, Rejected):
        return "rejected"
    return "timeout" if isinstance(error, DeadlineExceeded) else "error"
