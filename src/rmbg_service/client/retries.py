"""When a call is tried again, and when it is given up."""

import random
from dataclasses import dataclass

from rmbg_service.client.errors import ServiceUnavailable

_JITTER = 0.25


@dataclass(frozen=True)
class Retries:
    """How many seconds one call may pause in total before it is given up.

    `busy_s` is for 429: the service is alive and says with `Retry-After` when to come back.
    `unavailable_s` is for lost connections and the responses 408, 502, 503 and 504, counted since
    the last sign of life. Their pauses are 1, 2, 4, ... `longest_pause_s`, or `Retry-After` if that
    is longer. Every pause is up to 25% longer, at random, so that clients that were refused
    together do not come back together. `Retries(0, 0)` never tries again.
    """

    busy_s: float = 600
    unavailable_s: float = 120
    longest_pause_s: float = 60


class Backoff:
    """The pauses of one call."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._attempts = 0
        self._failures = 0  # in a row
        self._busy_s = 0.0
        self._unavailable_s = 0.0

    def pause_after(self, error: ServiceUnavailable) -> float:
        """Seconds to wait before the next attempt; raises `ServiceUnavailable` to give up."""
        self._attempts += 1
        jitter = 1 + _JITTER * random.random()
        if error.busy:
            self._failures, self._unavailable_s = 0, 0.0
            pause = max(1, error.retry_after_s) * jitter
            self._busy_s += pause
        else:
            doublings = min(self._failures, 30)  # a float overflows at 1024
            pause = min(2.0**doublings, self._retries.longest_pause_s)
            self._failures += 1
            pause = max(pause, error.retry_after_s) * jitter
            self._unavailable_s += pause
        if (
            self._busy_s <= self._retries.busy_s
            and self._unavailable_s <= self._retries.unavailable_s
        ):
            return pause
        times = f"{self._attempts} attempts" if self._attempts > 1 else "one attempt"
        raise ServiceUnavailable(
            f"gave up after {times}: {error}",
            status_code=error.status_code,
            problem=error.problem,
            request_id=error.request_id,
            retry_after_s=error.retry_after_s,
        ) from None
