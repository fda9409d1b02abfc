import cv2
import numpy as np
import pytest

from rmbg_service.system.memory_errors import as_memory_error


def test_opencv_s_errors_about_memory_are_memory_errors() -> None:
    no_memory = cv2.error("Failed to allocate 80000000000 bytes")
    no_memory.code = -4
    no_memory.err = "Failed to allocate"
    for error in (no_memory, cv2.error("std::bad_alloc")):
        with pytest.raises(MemoryError), as_memory_error():
            raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(cv2.error), as_memory_error():
        cv2.cvtColor(np.zeros((2, 2), np.uint8), cv2.COLOR_RGB2GRAY)
    with pytest.raises(ValueError, match="other"), as_memory_error():
        raise ValueError("other")
