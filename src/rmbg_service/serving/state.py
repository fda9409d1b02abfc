"""The state of the service, as livez, readyz, health and the metric show it."""

from enum import StrEnum


class State(StrEnum):
    """LOADING -> READY -> DRAINING; FAILED from any of them and for good."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
