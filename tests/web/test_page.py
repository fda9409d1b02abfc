"""What is served for people: its headers, and that it needs nothing from elsewhere."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import rmbg_service.web
from rmbg_service import errors
from rmbg_service.system.files import IMAGE_SUFFIXES
from tests.chinese import flaws
from tests.fakes import serving

STATIC = Path(rmbg_service.web.__file__).parent / "static"
PAGES = {"/": "index.html", "/docs": "swagger/docs.html"}
OURS = [
    path
    for path in STATIC.rglob("*.*")
    if path.suffix in (".html", ".css", ".js") and not path.name.startswith("swagger-ui")
]


def words(language: str) -> dict[str, str]:
    text = (STATIC / f"locales/{language}.js").read_text("utf-8")
    return dict(re.findall(r'^  "?([\w.-]+)"?: "(.+)",$', text, re.MULTILINE))


@pytest.mark.parametrize("path", PAGES)
async def test_the_pages_are_served_with_a_strict_policy(path: str) -> None:
    async with serving() as (client, _):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        rules = answer.headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in rules
        assert "script-src 'self'" in rules
        assert "connect-src 'self'" in rules
        assert "frame-ancestors 'none'" in rules
        assert ("style-src 'self'" in rules) is (path == "/")


async def test_what_the_browser_has_is_not_sent_again() -> None:
    async with serving() as (client, _):
        first = await client.get("/static/app.js")
        assert first.headers["cache-control"] == "no-cache"
        etag = first.headers["etag"]
        assert re.fullmatch(r'"[0-9a-f]{32}"', etag)
        for known in (etag, f'"other", W/{etag}', "*"):
            again = await client.get("/static/app.js", headers={"if-none-match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == etag
        other = await client.get("/static/app.js", headers={"if-none-match": '"other"'})
        assert (other.status_code, other.content) == (200, first.content)
        assert (await client.get("/static/theme.css")).headers["etag"] != etag


async def test_the_installed_page_finds_its_icons_and_its_worker() -> None:
    async with serving() as (client, _):
        manifest = await client.get("/static/manifest.webmanifest")
        assert manifest.headers["content-type"] == "application/manifest+json"
        for icon in manifest.json()["icons"]:
            answer = await client.get(f"/static/{icon['src']}")
            assert answer.headers["content-type"] == icon["type"]
            if icon["type"] == "image/png":
                size = Image.open(BytesIO(answer.content)).size
                assert icon["sizes"] == "{}x{}".format(*size)
        assert (
            (await client.get("/worker.js")).headers["content-type"].startswith("text/javascript")
        )
    async with serving(page=False) as (client, _):
        assert (await client.get("/worker.js")).status_code == 404


async def test_head_sends_the_length_alone() -> None:
    async with serving() as (client, _):
        whole, head = await client.get("/"), await client.head("/")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize("path", ["/static/none.js", "/static/../app.py", "/static/%2e%2e/app.py"])
async def test_there_is_nothing_but_the_files(path: str) -> None:
    async with serving() as (client, _):
        answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


async def test_without_the_page_the_api_and_its_document_stay() -> None:
    async with serving(page=False) as (client, _):
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/static/app.js")).status_code == 404
        docs = await client.get("/docs")
        assert docs.status_code == 200
        for name in re.findall(r'(?:src|href)="([^"]+)"', docs.text):
            assert (await client.get(f"/{name}")).status_code == 200


async def test_every_file_that_a_file_names_is_there() -> None:
    async with serving() as (client, _):
        for path in PAGES:
            named = re.findall(r'(?:src|href)="([^"#]+)"', (await client.get(path)).text)
            assert named
            for name in named:
                assert (await client.get(f"/{name}")).status_code == 200, name
    for script in OURS:
        for name in re.findall(
            r'^import .* from "(.+)";$', script.read_text("utf-8"), re.MULTILINE
        ):
            assert (script.parent / name).is_file(), f"{script.name}: {name}"


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.name))
def test_nothing_is_inline_and_nothing_comes_from_another_host(path: Path) -> None:
    text = path.read_text("utf-8")
    assert set(re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+/", text)) <= {"http://www.w3.org/"}
    if path.suffix == ".html":
        assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", text) == []


def test_both_languages_have_the_same_words_with_the_same_names_in_them() -> None:
    english, chinese = words("en"), words("zh")
    assert len(english) > 100
    # Chinese has one form for every number, English two.
    assert chinese.keys() == {word for word in english if not word.endswith(".one")}
    for word, text in chinese.items():
        names = re.compile(r"\{\w+\}")
        assert set(names.findall(text)) == set(names.findall(english[word])), word
    for word in (each for each in english if each.endswith(".one")):
        assert f"{word.removesuffix('.one')}.other" in english


def test_the_chinese_is_set_as_chinese_is() -> None:
    for word, text in words("zh").items():
        assert flaws(re.sub(r"\{\w+\}", "0", text)) == [], word


def test_every_word_in_the_document_exists() -> None:
    html = (STATIC / "index.html").read_text("utf-8")
    assert set(re.findall(r'data-i18n(?:-\w+)?="([^"]+)"', html)) <= words("en").keys()


def test_the_document_has_the_english_texts_until_the_scripts_have_come() -> None:
    html = (STATIC / "index.html").read_text("utf-8")
    texts = re.findall(r'<[^>]*\sdata-i18n="([^"]+)"[^>]*>([^<]*)</', html)
    assert len(texts) == len(re.findall(r'\sdata-i18n="', html)) > 50
    english = words("en")
    assert [(word, text) for word, text in texts if text != english[word]] == []


def test_every_error_of_the_service_has_words_on_the_page() -> None:
    unsent = {"configuration-error", "client-error", "internal-error", "video-error", "cancelled"}
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    types = {each.type for each in classes if issubclass(each, errors.RmbgError)} - unsent
    assert "overloaded" in types
    for name in types:
        assert {f"problem.{name}.title", f"problem.{name}.advice"} <= words("en").keys()


def test_the_page_takes_the_same_names_from_a_folder_as_the_command_line() -> None:
    found = re.search(r'const SUFFIXES =\s+"([^"]+)"', (STATIC / "intake.js").read_text("utf-8"))
    assert found is not None
    assert {f".{suffix}" for suffix in found[1].split()} == IMAGE_SUFFIXES
    html = (STATIC / "index.html").read_text("utf-8")
    chooser = re.search(r'id="files"[^>]* accept="image/\*,([^"]+)"', html)
    assert chooser is not None
    assert set(chooser[1].split(",")) <= IMAGE_SUFFIXES
