"""The names of a sequence of PNG files."""

import re
from pathlib import Path

_NUMBER = re.compile(r"%0?\d*d")


def is_numbered(name: str) -> bool:
    """Whether a number has one place in the name, such as `frame-%05d.png`."""
    return len(_NUMBER.findall(name)) == 1 and name.count("%") == 1


class FrameNames:
    """The files that `pattern` means, whose name `is_numbered`."""

    def __init__(self, pattern: Path) -> None:
        self._pattern = pattern

    def path(self, number: int) -> Path:
        """Where the frame of that number is."""
        return self._pattern.with_name(self._pattern.name % number)

    def there(self) -> dict[int, Path]:
        """The frames that exist, by their numbers."""
        before, after = map(re.escape, _NUMBER.split(self._pattern.name))
        found: dict[int, Path] = {}
        if self._pattern.parent.is_dir():
            for path in self._pattern.parent.iterdir():
                number = re.fullmatch(rf"{before}(\d+){after}", path.name)
                if number is not None and path == self.path(int(number[1])):
                    found[int(number[1])] = path
        return found
