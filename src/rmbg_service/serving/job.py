"""One admitted picture on its way through the service."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, get_args

from rmbg_service.errors import Cancelled, DeadlineExceeded
from rmbg_service.imaging.decode import ImageInfo
from rmbg_service.removal.options import RemovalOptions

Stage = Literal["read", "decode", "queue", "predict", "refine", "encode"]
STAGES: tuple[Stage, ...] = get_args(Stage)


class Stamps:
    """Seconds spent in each stage: one struct for the histogram, the log and `Server-Timing`.

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
        """Be in `stage` and add the time of the block to it."""
        self.stage = stage
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    def milliseconds(self) -> dict[str, float]:
        """Stage to milliseconds, in the order of `STAGES`, rounded to 0.1."""
        return {name: round(self.seconds[name] * 1e3, 1) for name in STAGES if name in self.seconds}


@dataclass(eq=False)
class Job:
    """A picture and what is wanted of it.

    `deadline` is on `time.monotonic`'s clock. A client that leaves only sets `abandoned`, which is
    looked at between the stages. `predictor_s` is its own share of the predictor's time.
    """

    data: bytes
    info: ImageInfo
    options: RemovalOptions
    deadline: float
    background: bytes | None = None
    background_info: ImageInfo | None = None
    stamps: Stamps = field(default_factory=Stamps)
    abandoned: bool = False
    predictor_s: float = 0.0

    def check(self) -> None:
        """Raise `Abandoned` or `DeadlineExceeded` when going on would be for nobody."""
        if self.abandoned:
            raise Abandoned
        if time.monotonic() > self.deadline:
            raise DeadlineExceeded("the job's deadline passed before it was finished")


class Abandoned(Cancelled):
    """The client has left; nobody waits for the result."""
