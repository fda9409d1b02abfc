"""What the service and a codec process tell each other, pickled, over a socket.

The service sends `Begin` and then `Resume` for each prediction that the job has asked for; the
answer to either is a batch of model inputs, an `Encoded` or an exception. Before the answer come
any number of `Timing` and `StillWanted`, each of the latter answered with a bool. `Forget` has no
answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rmbg_service.serving.timings import Stage
from rmbg_service.types import Matte


class Begin(NamedTuple):
    """A new job: the fields of its `CodecWork`, and the arguments of `CodecWork.run`."""

    work: Mapping[str, Any]
    input_size: tuple[int, int]
    max_pixels: int


class Resume(NamedTuple):
    """The mattes that the job has asked for, and its seconds in each stage so far."""

    mattes: Sequence[Matte]
    seconds: dict[Stage, float]


class Forget(NamedTuple):
    """The job is not resumed any more."""


class StillWanted(NamedTuple):
    """Whether anybody still waits for the job's result."""


class Timing(NamedTuple):
    """A stage that the job has entered, or what it has spent there."""

    stage: Stage
    seconds: float | None = None
