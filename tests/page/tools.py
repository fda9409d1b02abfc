"""Programs outside Python that check the page: CI must have them, a fresh clone may lack them."""

import os
import shutil
from pathlib import Path

import pytest

NODE_MODULES = Path(__file__).parent / "node_modules"


def chromium() -> str:
    """The path of the browser, from `CHROMIUM` or `PATH`."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    return found or missing("Chromium is not installed (or say where in CHROMIUM)")


def npm_file(path: str) -> Path:
    """A file of the packages in package.json."""
    file = NODE_MODULES / path
    if not file.exists():
        missing("its npm packages are not installed: npm ci --prefix tests/page")
    return file


def missing(what: str) -> str:
    """Skip the test, or fail it where everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
