"""How long a request spends in each stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

Stage = Literal["read", "decode", "queue", "predict", "refine", "encode"]
STAGES: tuple[Stage, ...] = get_args(Stage)


class StageTimings:
    """Seconds in each stage: one struct for the histogram, the log and `Server-Timing`.

    `stage` is the one that the request is in.
    """

    def __init__(self) -> None:
        self.seconds: dict[Stage, float] = {}
        self.stage: Stage = "read"

    def add(self, stage: Stage, seconds: float) -> None:
        """Add `seconds` to `stage`."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Enter `stage` and add the time of the block to it."""
        self.stage = stage
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    def milliseconds(self) -> dict[str, float]:
        """Stage to milliseconds, in the order of `STAGES`, rounded to 0.1."""
        return {name: round(self.seconds[name] * 1e3, 1) for name in STAGES if name in self.seconds}
