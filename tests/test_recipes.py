"""The recipes in CONTRIBUTING.md are applied to a copy of the source; their tests pass there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECTIONS = re.split(r"^### ", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), flags=re.MULTILINE)[1:]
RECIPES = {section.partition("\n")[0]: section for section in SECTIONS}


def test_there_is_a_recipe_for_each_seam() -> None:
    assert RECIPES.keys() == {
        "Add a model",
        "Add an option",
        "Add an output format",
        "Add a wire API",
    }


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_works(name: str, tmp_path: Path) -> None:
    without = shutil.ignore_patterns("node_modules", "__pycache__")
    for part in ("src", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=without)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    tests = []
    for language, block in re.findall(r"```(diff|python)\n(.+?)```", RECIPES[name], re.DOTALL):
        first, _, text = block.partition("\n")
        if language == "diff":
            apply(text, tmp_path / first.removeprefix("--- "))
        else:
            path = tmp_path / first.removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
            tests += [path] if path.name.startswith("test_") else []
    assert tests
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "--rootdir", tmp_path, *tests],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def apply(diff: str, path: Path) -> None:
    """Replace the old lines of `diff`, which are in the file exactly once, by the new ones."""
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{path.name} has no such lines, or more than once:\n{old}"
    path.write_text(text.replace(old, new), "utf-8")
