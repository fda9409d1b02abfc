"""What the documents say is there, is there; what is there, they say."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from rmbg_service import __version__, errors
from rmbg_service.api.app import create_app
from rmbg_service.batch.removers.remote import KEY_VARIABLE
from rmbg_service.cli import app
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings
from tests.chinese import HAN, flaws, prose
from tests.fakes import FakePredictor

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh-CN.md"]
PAGES = sorted(
    path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
)


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
    for path in [*(ROOT / name for name in PAGES), ROOT / "docker-compose.yml"]:
        named = set(re.findall(r"\bRMBG_[A-Z_]+[A-Z]\b", path.read_text("utf-8")))
        assert named <= known, path


COMMAND = typer.main.get_command(app)


@pytest.mark.parametrize("name", [page for page in PAGES if page != "CHANGELOG.md"])
def test_no_document_names_a_command_or_a_flag_that_does_not_exist(name: str) -> None:
    page = text(name).replace("\\\n", " ")
    calls = re.findall(
        r"(?:^|`|/|= ?|\$ |[A-Z_]+=\S+ )rmbg-service ([^`|#\n]*)", page, re.MULTILINE
    )
    for call in calls:
        words = call.split()
        command: Any = COMMAND
        while words and hasattr(command, "commands"):
            word = words.pop(0)
            if word in ("...", "COMMAND") or word.startswith("-"):
                break
            assert word in command.commands, call
            command = command.commands[word]
        flags = {
            flag for option in command.params for flag in (*option.opts, *option.secondary_opts)
        }
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= flags | {"--help"}, call


def test_every_endpoint_is_documented() -> None:
    api = text("docs/api.md")
    for path, item in create_app(Settings(), FakePredictor()).openapi()["paths"].items():
        for method in item:
            assert f"{method.upper()} {path}" in api


def test_every_option_is_documented() -> None:
    for name in RemovalOptions.model_fields:
        assert f"| `{name}` |" in text("docs/api.md")


def test_every_error_that_a_client_sees_is_documented() -> None:
    unsent = {"configuration-error", "client-error", "video-error", "cancelled"}
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    types = {each.type for each in classes if issubclass(each, errors.RmbgError)} - unsent
    assert "overloaded" in types
    for page in ("docs/api.md", "docs/zh/api.md"):
        assert types <= set(re.findall(r"^\| \d{3} \| `([a-z-]+)` \|", text(page), re.MULTILINE))


def test_every_metric_is_documented() -> None:
    operations = text("docs/operations.md")
    registry = create_app(Settings(), FakePredictor()).state.engine.metrics.registry
    for metric in registry.collect():
        if metric.name.startswith("rmbg_"):
            suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
            assert f"`{metric.name}{suffix}`" in operations


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text(name)):
        if target.startswith("http"):
            continue
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), f"{target}#{anchor}"


def anchors(path: Path) -> set[str]:
    """The ids that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, ahead = set(), [ROOT / "docs" / "README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text("utf-8"))
        targets = {(page.parent / link).resolve() for link in links if "://" not in link}
        ahead += targets - reached
    assert {*ROOT.glob("docs/**/*.md")} <= reached


_FOREIGN = re.compile(r"\b(?:pictures? of|an? picture|of late|shall|an answer)\b", re.IGNORECASE)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_keeps_to_the_style_guide(name: str) -> None:
    page = text(name)
    outside = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    assert len(re.findall(r"^# ", outside, re.MULTILINE)) == 1
    fences = re.findall(r"^```(.*)$", page, re.MULTILINE)
    assert all(fences[::2]), "a code block names its language"
    assert not any(fences[1::2])
    assert re.search(r"\d %", outside) is None, "write 90%, not 90 %"
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)", "", outside)
    assert name == "docs/style.md" or _FOREIGN.search(prose) is None


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


def test_every_library_is_named_with_its_licence() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    installed = [
        *project["dependencies"],
        *(each for name in extras for each in extras[name] if name != "dev"),
    ]
    rows = re.findall(r"^\| (.+) \| .+ \|$", text("THIRD_PARTY.md"), re.MULTILINE)
    named = {
        name for row in rows for name in re.sub(r"\(.*\)", "", row).replace(" ", "").split(",")
    }
    assert {re.split(r"[^\w.-]", each)[0] for each in installed} <= named


def test_the_changelog_keeps_its_form() -> None:
    headings = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    kinds = set(re.findall(r"^### (.+)$", text("CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


TRANSLATED = [path.name for path in sorted(ROOT.glob("docs/zh/*.md"))]


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_translated_table_has_the_rows_of_the_english_one(name: str) -> None:
    english, chinese = tables(text(f"docs/{name}")), tables(text(f"docs/zh/{name}"))
    assert [table for table in chinese if table not in english] == []


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_translation_shows_the_code_of_the_english_pages(name: str) -> None:
    english = {line for path in ROOT.glob("docs/*.md") for line in code(path.read_text("utf-8"))}
    assert [line for line in code(text(f"docs/zh/{name}")) if line not in english] == []


def tables(page: str) -> list[list[tuple[str, ...]]]:
    """Of each row the code and the status in its first two cells."""
    found = re.findall(r"((?:^\|.*\n)+)", page, re.MULTILINE)
    return [
        [
            tuple(
                key
                for cell in row.split("|")[1:3]
                for key in re.findall(r"`[^`]+`|^ \d{3} $", cell)
            )
            for row in table.splitlines()[2:]
        ]
        for table in found
    ]


def code(page: str) -> list[str]:
    """The lines of all code blocks."""
    blocks = re.findall(r"^```.+?\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("name", [name for name in PAGES if "zh" in name])
def test_the_chinese_pages_are_set_as_chinese_is(name: str) -> None:
    shown = prose(text(name))
    assert flaws(shown) == []
    for line, after in pairwise(shown.splitlines()):
        both = HAN.match(line[-1:]) and HAN.match(after)
        assert not both, f"a line break in a paragraph is shown as a space: {after}"
