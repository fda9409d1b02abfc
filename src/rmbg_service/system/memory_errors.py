"""One exception for memory that cannot be had, whichever library asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_NO_MEMORY = -4  # cv::Error::StsNoMem
_BAD_ALLOC = "bad_alloc"


@contextmanager
def as_memory_error() -> Iterator[None]:
    """Raise `MemoryError` in place of OpenCV's own errors about memory."""
    try:
        yield
    except cv2.error as error:
        if getattr(error, "code", None) == _NO_MEMORY or _BAD_ALLOC in str(error):
            raise MemoryError(str(error)) from None
        raise
