"""A video as a sequence of numbered PNG files. Needs no PyAV."""

import re
from pathlib import Path
from typing import Self

from rmbg_service.imaging.cutout import Cutout
from rmbg_service.system.atomic import atomic_write

_NUMBER = re.compile(r"%0?\d*d")


def is_numbered(name: str) -> bool:
    """Whether the name contains exactly one number format, such as `frame-%05d.png`."""
    return len(_NUMBER.findall(name)) == 1 and name.count("%") == 1


class FrameNames:
    """The files that `pattern` stands for; its name must be `is_numbered`."""

    def __init__(self, pattern: Path) -> None:
        self._pattern = pattern

    def path(self, number: int) -> Path:
        """The path of the frame with this number."""
        return self._pattern.with_name(self._pattern.name % number)

    def existing(self) -> dict[int, Path]:
        """The frames that exist, by their numbers."""
        before, after = map(re.escape, _NUMBER.split(self._pattern.name))
        found: dict[int, Path] = {}
        if self._pattern.parent.is_dir():
            for path in self._pattern.parent.iterdir():
                number = re.fullmatch(rf"{before}(\d+){after}", path.name)
                if number is not None and path == self.path(int(number[1])):
                    found[int(number[1])] = path
        return found


class SequenceWriter:
    """A `Writer` of one PNG file for each frame, numbered from 1; no times, no audio.

    Each file is complete as soon as it exists. The end of the block removes the frames of an
    earlier, longer clip.
    """

    def __init__(self, pattern: Path) -> None:
        self._names = FrameNames(pattern)
        self._number = 0

    def __enter__(self) -> Self:
        """See `Writer`."""
        return self

    def write(self, cutout: Cutout, pts: int) -> None:
        """See `Writer.write`."""
        del pts
        self._number += 1
        atomic_write(self._names.path(self._number), cutout.png())

    def pass_audio(self, packet: object) -> None:
        """Do nothing: images have no audio."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """See `Writer`."""
        if error is None:
            for number, path in self._names.existing().items():
                if number > self._number:
                    path.unlink()
