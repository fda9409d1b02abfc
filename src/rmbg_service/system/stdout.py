"""Standard output whose reader is gone, or whose disk is full."""

import os
from typing import TextIO


def try_to_write(stream: TextIO, text: str) -> OSError | None:
    """Write `text` and flush; return the error if that fails.

    `stream` then leads to the null device, because Python flushes it once more at exit: if that
    failed too, the exit status would change.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        return error
    return None
