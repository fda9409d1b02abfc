"""The seam between a run over many images and what removes the background of one."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from rmbg_service.errors import Cancelled, RmbgError
from rmbg_service.types import Box


class Removed(NamedTuple):
    """A finished file, and the subject's box in the upright input; None if there is no subject.

    `further` are the files of the same image for further options.
    """

    data: bytes
    box: Box | None
    further: Sequence[bytes] = ()


class Remover(Protocol):
    """Removes backgrounds, up to `parallel` at once, always with the same options."""

    @property
    def model(self) -> str:
        """The model's name; known before the first removal."""

    @property
    def parallel(self) -> int:
        """How many removals to run at once."""

    @property
    def max_bytes(self) -> int:
        """The largest file that is accepted, in bytes."""

    async def remove(self, data: bytes) -> Removed:
        """Remove the background of the image in the file `data`.

        Raises an `RmbgError` that concerns this image, `RemoverFailed` if every other image would
        fail too, or `RunStopped` if the run is stopped first.
        """


class RemoverFailed(RmbgError):
    """No further background can be removed; `str(error)` says why."""

    type = "remover-failed"
    title = "Nothing can be removed"


class RunStopped(Cancelled):
    """The run was stopped before this image was finished."""
