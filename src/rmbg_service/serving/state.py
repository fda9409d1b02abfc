"""The state of the service, as livez, readyz, health and the metric show it."""

from enum import StrEnum


class State(StrEnum):
    """LOADING -> READY -> DRAINING; any of them -> FAILED, which is final."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
