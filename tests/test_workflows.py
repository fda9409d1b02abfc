"""GitHub Actions does not run here, so what the workflows run and trust is checked as text."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def steps(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_only_make_targets_that_the_local_ci_runs(path: Path) -> None:
    local = set(re.findall(r"^make .+$", (ROOT / ".ci/run").read_text("utf-8"), re.MULTILINE))
    runs = {step["run"] for step in steps(path) if "run" in step}
    assert runs <= local
    for run in runs:
        assert re.search(rf"^{run.removeprefix('make ')}:", MAKEFILE, re.MULTILINE), run


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_say_their_version(path: Path) -> None:
    uses = re.findall(r"uses: (.+)", path.read_text("utf-8"))
    assert len(uses) == sum("uses" in step for step in steps(path))
    for use in uses:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use


def test_an_action_has_one_version_everywhere() -> None:
    text = "".join(path.read_text("utf-8") for path in WORKFLOWS)
    versions = set(re.findall(r"uses: (\S+)@(\S+)", text))
    assert len(versions) == len({action for action, _ in versions})


def test_the_tested_paths_exist() -> None:
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values():
            for name in job.get("env", {}).get("TESTS", "").split():
                assert (ROOT / name.removeprefix("--ignore=")).is_dir(), name


def test_every_supported_python_is_tested() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (test,) = (
        job
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
        if "python" in job.get("strategy", {}).get("matrix", {})
    )
    pythons = test["strategy"]["matrix"]["python"]
    assert f'requires-python = ">={pythons[0]}"' in project
    assert pythons == re.findall(r"Programming Language :: Python :: (3\.\d+)", project)


def test_every_target_is_listed_by_make_help() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    listed = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)
    assert sorted(listed) == sorted(phony.split())
