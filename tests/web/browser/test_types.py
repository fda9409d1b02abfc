"""The page's JSDoc types hold, as TypeScript sees them."""

import subprocess
from pathlib import Path

from tests.programs import node, npm_file


def test_typescript_finds_nothing() -> None:
    project = Path(__file__).parent / "tsconfig.json"
    command = [node(), str(npm_file("typescript/bin/tsc")), "--project", str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
