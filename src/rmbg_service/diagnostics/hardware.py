"""Accelerators of this machine, whether or not the installed libraries can use them."""

import platform
import sys
from pathlib import Path

_DEVICE_FILES = {
    "dev/nvidia0": "NVIDIA GPU",
    "dev/dxg": "GPU of the Windows host",
    "dev/kfd": "AMD GPU",
}


def accelerators(root: Path = Path("/")) -> list[str]:
    """What the operating system shows, e.g. `NVIDIA GPU`; empty where only a CPU is seen."""
    found = [name for path, name in _DEVICE_FILES.items() if (root / path).exists()]
    if sys.platform == "darwin" and platform.machine() == "arm64":
        found.append("Apple GPU")
    return found
