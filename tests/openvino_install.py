"""An installation of OpenVINO that cannot be loaded."""

import sys
from pathlib import Path

import pytest

REASON = "libtbb.so.12: cannot open shared object file: No such file or directory"


def break_openvino(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `import openvino` fail as it does without one of its libraries; `folder` is empty."""
    package = folder / "openvino"
    package.mkdir()
    (package / "__init__.py").write_text(f"raise ImportError({REASON!r})")
    for name in list(sys.modules):
        if name.partition(".")[0] == "openvino":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder)
