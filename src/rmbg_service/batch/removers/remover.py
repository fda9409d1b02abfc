"""The seam between a run over many files and what removes the background of one."""

from typing import NamedTuple, Protocol

from rmbg_service.errors import RmbgError
from rmbg_service.types import Box


class Removed(NamedTuple):
    """A finished file's bytes, and where the subject is in the upright input; None: nowhere."""

    data: bytes
    box: Box | None


class Remover(Protocol):
    """Removes backgrounds, up to `parallel` at once, always with the same options."""

    @property
    def model(self) -> str:
        """The model's name; known before the first removal."""

    @property
    def parallel(self) -> int:
        """How many removals make sense at once."""

    @property
    def max_bytes(self) -> int:
        """The largest file that is accepted."""

    async def remove(self, data: bytes) -> Removed:
        """Remove the background of the picture in the file `data`.

        Raises an `RmbgError` that is this picture's own, `Hopeless` when no other picture could
        fare better, or `Dropped` when the run was stopped before.
        """


class OutOfReach(RmbgError):
    """What removes did not take the picture, often enough; that says nothing about the picture."""

    type = "out-of-reach"
    title = "Out of reach"


class Hopeless(Exception):
    """Nothing more can be removed; `str(error)` says why."""


class Dropped(Exception):
    """The run was stopped before this picture was finished."""
