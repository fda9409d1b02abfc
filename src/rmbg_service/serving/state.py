"""The one state that livez, readyz, health and the metric all show."""

from enum import StrEnum


class State(StrEnum):
    """LOADING -> READY -> DRAINING; FAILED from any of them and for good."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
