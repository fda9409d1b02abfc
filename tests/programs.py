"""Programs outside Python that some tests need: CI must have them, a fresh clone may lack them."""

import os
import shutil
import sys
from pathlib import Path

import pytest

NODE_MODULES = Path(__file__).parent / "node_modules"


def chromium() -> str:
    """The path of the browser, from `CHROMIUM` or `PATH`."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    return found or _missing("Chromium is not installed (or say where in CHROMIUM)")


def node() -> str:
    """The path of Node.js."""
    return shutil.which("node") or _missing("Node.js is not installed")


def npm_file(path: str) -> Path:
    """A file or folder of the packages in package.json."""
    file = NODE_MODULES / path
    if not file.exists():
        _missing("npm packages are not installed: npm ci --prefix tests")
    return file


def python_client_generator() -> str:
    """The path of openapi-python-client, which `make dev` installs apart from the service."""
    found = shutil.which("openapi-python-client", path=str(Path(sys.prefix) / "tools" / "bin"))
    return found or _missing("openapi-python-client is not installed: make dev")


def _missing(what: str) -> str:
    """Skip the test, or fail it where everything must be there."""
    if os.environ.get("NO_SKIPS"):
        pytest.fail(what)
    pytest.skip(what)
