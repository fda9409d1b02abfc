"""Which output each picture gets, so that no two of them share one."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rmbg_service.batch.inputs import Found
from rmbg_service.system.files import place_of


class Names:
    """Hands out the paths below the folder `out`, for files that end in `suffix`.

    `holiday/a.jpg` becomes `holiday/a.png`. A path belongs to the picture that took it first, in
    this run or an earlier one (`owners`: output to input), as long as that picture exists; another
    one becomes `holiday/a.jpg.png`, or `holiday/a.jpg-2.png`. Paths that differ only in case count
    as the same, and a path of one of the `inputs` is never handed out.
    """

    def __init__(
        self, out: Path, suffix: str, owners: Mapping[str, str], inputs: Iterable[Path] = ()
    ) -> None:
        self._out = out
        self._suffix = suffix
        self._owners = {output.casefold(): owner for output, owner in owners.items()}
        self._taken: set[str] = set()
        self._inputs = {path.resolve() for path in inputs}

    def output_of(self, found: Found) -> Path:
        """The path of the cutout; the same one when asked again."""
        me = place_of(found.path)
        self._inputs.add(found.path.resolve())
        for name in _candidates(found.name, self._suffix):
            key = name.as_posix().casefold()
            owner = self._owners.get(key, me)
            free = owner == me or (key not in self._taken and not os.path.lexists(owner))
            if free and (self._out / name).resolve() not in self._inputs:
                self._owners[key] = me
                self._taken.add(key)
                return self._out / name
        raise AssertionError("there are endless candidates")


def _candidates(name: Path, suffix: str) -> Iterator[Path]:
    yield name.with_suffix(suffix)
    yield name.with_name(f"{name.name}{suffix}")
    number = 2
    while True:
        yield name.with_name(f"{name.name}-{number}{suffix}")
        number += 1
