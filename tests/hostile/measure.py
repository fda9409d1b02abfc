"""What hostile files cost, each in a process of its own: `python -m tests.hostile.measure NAME...`.

Prints a JSON object a line: name, outcome, and what probing and decoding took: memory in bytes, and
lines of Python.
"""

import json
import os
import resource
import sys
import traceback
import warnings
from types import FrameType
from typing import Any

from rmbg_service.errors import RmbgError
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.probe import probe
from tests.hostile.images import FILES

_MAX_PIXELS = 50_000_000


class _Lines:
    """Counts the lines that run in the package."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if "imaging" not in frame.f_code.co_filename:
            return None
        self.count += event == "line"
        return self


def measure(name: str, data: bytes) -> dict[str, Any]:
    """Probe and decode `data`."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = _Lines()
    try:
        sys.settrace(lines)
        try:
            info = probe(data, _MAX_PIXELS)
            decode(data, info)
        finally:
            sys.settrace(None)
        outcome = f"{info.format} {info.width} x {info.height}"
    except RmbgError as error:
        outcome = f"{type(error).__name__}: {error}"
    except Exception:
        outcome = traceback.format_exc()
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return {"name": name, "outcome": outcome, "memory": taken, "lines": lines.count}


def main(names: list[str]) -> None:
    """Measure each file in a child process, so that the memory of one does not hide another's."""
    warnings.simplefilter("ignore")
    for name in names:
        data = FILES[name]()
        child = os.fork()
        if child == 0:
            print(json.dumps(measure(name, data)), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            print(json.dumps({"name": name, "outcome": f"ended with {status}"}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
