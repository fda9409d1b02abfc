"""The page's JSDoc types hold, as TypeScript sees them."""

import shutil
import subprocess
from pathlib import Path

from tests.page.tools import missing, npm_file


def test_typescript_finds_nothing() -> None:
    node = shutil.which("node") or missing("Node.js is not installed")
    tsc = npm_file("typescript/bin/tsc")
    done = subprocess.run(
        [node, tsc, "--project", Path(__file__).parent / "tsconfig.json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
