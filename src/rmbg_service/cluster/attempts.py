"""How often something was begun without an end: what kills its worker is not tried forever."""

from collections import Counter
from typing import Any, Protocol

MAX_ATTEMPTS = 3


class Attempts(Protocol):
    """Counts attempts by key."""

    def begin(self, key: str) -> int:
        """Count one more attempt; how many there are by now, with this one."""

    def end(self, key: str) -> None:
        """The attempt has ended, whatever its result: its worker is alive."""


class LocalAttempts:
    """Counts in this process."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, key: str) -> int:
        """See `Attempts.begin`."""
        self._begun[key] += 1
        return self._begun[key]

    def end(self, key: str) -> None:
        """See `Attempts.end`."""
        del self._begun[key]


class ClusterAttempts:
    """Counts for the whole cluster, in an actor that outlives the workers."""

    def __init__(self) -> None:
        import ray

        # Without a CPU of its own; if its node is lost, it starts again with no counts.
        options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        self._actor: Any = ray.remote(**options)(LocalAttempts).remote()

    def begin(self, key: str) -> int:
        """See `Attempts.begin`."""
        import ray

        count: int = ray.get(self._actor.begin.remote(key))
        return count

    def end(self, key: str) -> None:
        """See `Attempts.end`."""
        self._actor.end.remote(key)
