"""What the documents say is there, is there; what is there, they say."""

import re
from pathlib import Path

import pytest
import yaml

from rmbg_service import __version__
from rmbg_service.api.app import create_app
from rmbg_service.batch.removers.remote import KEY_VARIABLE
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings
from tests.fakes import FakePredictor

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh-CN.md"]


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    field = Settings.model_fields[name]
    fixed = field.default_factory is None and field.default not in (None, ())
    default = f"`{field.default}`" if fixed else ""
    row = f"| `RMBG_{name.upper()}` | {default} | {field.description} |"
    assert row in text("docs/configuration.md").splitlines()


def test_no_document_names_a_setting_that_does_not_exist() -> None:
    known = {f"RMBG_{name.upper()}" for name in Settings.model_fields} | {KEY_VARIABLE}
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "docker-compose.yml"]:
        named = set(re.findall(r"\bRMBG_[A-Z_]+[A-Z]\b", path.read_text("utf-8")))
        assert named <= known, path.name


def test_every_endpoint_is_documented() -> None:
    api = text("docs/api.md")
    for path, item in create_app(Settings(), FakePredictor()).openapi()["paths"].items():
        for method in item:
            assert f"{method.upper()} {path}" in api


def test_every_option_is_documented() -> None:
    for name in RemovalOptions.model_fields:
        assert f"| `{name}` |" in text("docs/api.md")


def test_every_metric_is_documented() -> None:
    operations = text("docs/operations.md")
    registry = create_app(Settings(), FakePredictor()).state.engine.metrics.registry
    for metric in registry.collect():
        if metric.name.startswith("rmbg_"):
            suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
            assert f"`{metric.name}{suffix}`" in operations


@pytest.mark.parametrize("name", [*READMES, *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", text(name)):
        if not target.startswith("http"):
            assert ((ROOT / name).parent / target).exists(), target


def test_both_readmes_show_the_same_commands_and_sections() -> None:
    english, chinese = (text(name) for name in READMES)
    fence = re.compile(r"```.*?```", re.DOTALL)
    assert fence.findall(english) == fence.findall(chinese)
    assert english.count("\n## ") == chinese.count("\n## ")


def test_the_version_is_the_same_wherever_it_is_shown() -> None:
    assert f"\nversion: {__version__}\n" in text("CITATION.cff")
    assert yaml.safe_load(text("openapi.yaml"))["info"]["version"] == __version__
    released = re.findall(r"^## \[(\d.*)\] - \d{4}-\d\d-\d\d$", text("CHANGELOG.md"), re.MULTILINE)
    assert released[0] == __version__


def test_the_changelog_keeps_its_form() -> None:
    headings = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    kinds = set(re.findall(r"^### (.+)$", text("CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
