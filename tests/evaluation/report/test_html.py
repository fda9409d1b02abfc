import base64
import json
import platform
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from rmbg_service.evaluation.records import MEASURES
from rmbg_service.evaluation.report.html import GROUNDS, WORST, write_report
from rmbg_service.evaluation.report.labels import LABELS
from rmbg_service.evaluation.result import Result
from rmbg_service.evaluation.run import run
from rmbg_service.types import Matte
from tests.evaluation.data import SIZE, Scripted, make_dataset
from tests.programs import chromium


class Page(HTMLParser):
    """The elements of a page, its visible text, and every address it refers to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, *names: str) -> list[str]:
        return [value for name, value in self.attributes if name in names]


def judged(
    folder: Path,
    *candidates: Scripted,
    tags: tuple[str, ...] = ("hair", ""),
    size: tuple[int, int] = SIZE,
) -> Result:
    samples = make_dataset(folder, tags, size)
    outcomes = [run(c.candidate, samples, folder / c.candidate.name) for c in candidates]
    return Result.of("tiny", samples, {"limit": None, "tag": ["hair"]}, outcomes)


def moved(by_px: int, **options: float) -> Scripted:
    return Scripted(lambda truth: np.roll(truth, by_px, axis=1), f"by {by_px}", **options)


def page_of(result: Result, folder: Path) -> tuple[Page, str]:
    write_report(result, folder / "report.html")
    html = (folder / "report.html").read_text("utf-8")
    return Page(html), html


def test_the_report_needs_nothing_but_itself(tmp_path: Path) -> None:
    page, html = page_of(judged(tmp_path, moved(0), moved(3)), tmp_path)
    addresses = page.values("src", "href", "srcset", "data", "action", "poster")
    assert addresses
    assert all(address.startswith("data:image/") for address in addresses)
    assert not {"script", "link", "iframe", "object"} & set(page.elements)
    assert "url(" not in html
    assert "@import" not in html


def test_every_table_has_a_name_and_every_picture_a_text(tmp_path: Path) -> None:
    page, html = page_of(judged(tmp_path, moved(0), moved(3)), tmp_path)
    tables = re.findall(r"<table.*?</table>", html, re.DOTALL)
    assert len(tables) > 10
    assert all("<caption>" in table or "aria-label" in table for table in tables)
    assert page.elements.count("img") == len([alt for alt in page.values("alt") if alt])
    assert page.elements.count("svg") == page.values("role").count("img")


def test_it_shows_the_means_by_tag(tmp_path: Path) -> None:
    result = judged(tmp_path, moved(3))
    _, html = page_of(result, tmp_path)
    for tag in ("all", "hair"):
        mean = result.groups["by 3"][tag]["iou"].mean
        assert re.search(rf"{tag}</th><td>\d</td>\s*<td>{mean:.3f}<", html), tag


def test_the_better_mean_is_marked(tmp_path: Path) -> None:
    _, html = page_of(judged(tmp_path, moved(3), moved(0)), tmp_path)
    iou = html[html.index("<summary>IoU") :]
    everything = iou[iou.index("all</th>") : iou.index("</tr>", iou.index("all</th>"))]
    assert re.findall(r"<td(.*?)>[\d.]+<small>", everything) == ["", ' class="best"']


def test_names_are_escaped(tmp_path: Path) -> None:
    hostile = Scripted(name="<script>alert(1)")
    result = judged(tmp_path, hostile, tags=("<u>tag",))
    page, _ = page_of(result, tmp_path)
    assert "script" not in page.elements
    assert "u" not in page.elements
    assert "<script>alert(1)" in "".join(page.text)


def test_the_worst_come_first_and_are_at_most_twenty(tmp_path: Path) -> None:
    calls = iter(range(WORST + 2))

    def spoil(truth: Matte) -> Matte:
        return np.roll(truth, 40, axis=1) if next(calls) == 7 else truth

    result = judged(tmp_path, Scripted(spoil), tags=("",) * (WORST + 2))
    page, html = page_of(result, tmp_path)
    cases = re.findall(r"<h3>(\d+)\. (\w+)</h3>", html)
    assert [int(number) for number, _ in cases] == list(range(1, WORST + 1))
    assert cases[0][1] == "p7"
    assert page.elements.count("img") == 5 * WORST + WORST + 2, "the worst, and the contact sheet"


def test_a_run_in_which_all_failed_is_reported(tmp_path: Path) -> None:
    result = judged(tmp_path, Scripted(lambda truth: truth[1:]))
    page, _ = page_of(result, tmp_path)
    assert "the truth 160 x 120" in "".join(page.text)
    assert result.as_dict()["models"][0]["mean_seconds"] is None  # type: ignore[index]


def test_predictions_without_times_have_no_time_plot(tmp_path: Path) -> None:
    _, html = page_of(judged(tmp_path, moved(0, seconds=float("nan"))), tmp_path)
    assert "against time" not in html


def test_the_summary_is_strict_json_with_the_same_figures(tmp_path: Path) -> None:
    result = judged(tmp_path, moved(3), moved(0, seconds=2.5))
    result.write_json(tmp_path / "summary.json")
    summary = json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)
    assert summary["dataset"]["images"] == 2
    assert len(summary["dataset"]["sha256"]) == 64
    assert summary["options"] == {"limit": None, "tag": ["hair"]}
    assert summary["versions"]["numpy"] == np.__version__
    first, second = summary["models"]
    assert (first["name"], second["name"]) == ("by 3", "by 0")
    assert second["mean_seconds"] == 2.5
    assert second["source"] == "a test"
    assert second["failures"] == {}
    ious = [record.values["iou"] for record in result.outcomes[0].records]
    entry = first["tags"]["all"]["iou"]
    assert entry["mean"] == pytest.approx(np.mean(ious))
    assert entry["low"] <= entry["mean"] <= entry["high"]
    assert entry["n"] == 2
    assert first["tags"]["all"]["uea_hair"] == {"mean": None, "low": None, "high": None, "n": 0}
    (comparison,) = summary["comparisons"]
    assert (comparison["model"], comparison["against"]) == ("by 3", "by 0")
    difference = comparison["measures"]["iou"]
    assert difference["difference"] == pytest.approx(100 * (np.mean(ious) - 1))
    assert difference["unit"] == "percentage points"
    assert comparison["measures"]["seconds"]["difference"] == pytest.approx(-2)
    assert "uea_shadow" in comparison["measures"]


def test_the_contact_sheet_has_a_cutout_of_every_photo_on_a_colour(tmp_path: Path) -> None:
    result = judged(tmp_path, moved(0), moved(3), tags=("",) * 3)
    page, html = page_of(result, tmp_path)
    sheet = html[html.index('<div class="sheet">') :]
    uris = re.findall(r'src="data:image/webp;base64,([^"]+)"', sheet[: sheet.index("</div>")])
    assert len(uris) == 3
    for uri in uris:
        with Image.open(BytesIO(base64.b64decode(uri))) as cutout:
            alpha = np.asarray(cutout.convert("RGBA"))[..., 3]
            assert (alpha.min(), alpha.max()) == (0, 255)
    assert page.values("type") == ["radio"] * len(GROUNDS)


def test_a_long_contact_sheet_says_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmbg_service.evaluation.report.html.SHEET", 2)
    page, html = page_of(judged(tmp_path, moved(0), tags=("",) * 5), tmp_path)
    assert "3 more photos are left out" in " ".join("".join(page.text).split())
    assert html[html.index('<div class="sheet">') :].count("The cutout of") == 2


TILES = """() => [...document.querySelectorAll(".grid, .sheet, .row")].map((row) => {
    const right = row.getBoundingClientRect().right;
    const tiles = [...row.querySelectorAll("figure")].map((tile) => tile.getBoundingClientRect());
    const top = Math.min(...tiles.map((tile) => tile.top));
    const first = tiles.filter((tile) => Math.abs(tile.top - top) < 2);
    return first.length < tiles.length || row.matches(".row")
        ? right - Math.max(...first.map((tile) => tile.right)) : 0;
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def long_report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of a report of a dozen photos."""
    folder = tmp_path_factory.mktemp("long")
    page_of(judged(folder, moved(3), moved(0), tags=("hair",) * 12, size=(400, 500)), folder)
    return (folder / "report.html").as_uri()


@pytest.mark.parametrize("width", [390, 1000, 1280, 1460, 1920])
def test_tiles_fill_their_row_and_sections_fold(
    browser: Browser, long_report: str, width: int
) -> None:
    with browser.new_page(viewport={"width": width, "height": 900}) as page:
        page.goto(long_report)
        gaps = page.evaluate(TILES)
        assert len(gaps) > 10
        assert max(map(abs, gaps)) < 2
        page.get_by_text("black", exact=True).click()
        ground = page.locator(".sheet img").first.evaluate(
            "(image) => getComputedStyle(image).backgroundColor"
        )
        assert ground == "rgb(0, 0, 0)"
        for section in page.locator("details.section").all():
            section.locator("> summary").click()
            assert section.get_attribute("open") is None
        assert page.evaluate("() => document.body.scrollWidth <= innerWidth")


@pytest.fixture(scope="module")
def short_reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The URIs of reports of one and of two models, and how many images show their worst."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    page_of(judged(one, moved(3), size=(400, 500)), one)
    page_of(judged(two, moved(3), moved(0), size=(400, 500)), two)
    return {(one / "report.html").as_uri(): 2 * 5, (two / "report.html").as_uri(): 2 * 7}


@pytest.mark.parametrize("width", [390, 1280, 1460])
def test_no_picture_of_the_worst_is_cut_off(
    browser: Browser, short_reports: dict[str, int], width: int
) -> None:
    with browser.new_page(viewport={"width": width, "height": 900}) as page:
        for report, images in short_reports.items():
            page.goto(report)
            shown = page.evaluate(
                """() => [...document.querySelectorAll(".case img")].map((image) => {
                    const card = image.closest(".case").getBoundingClientRect();
                    return image.getBoundingClientRect().right <= card.right - 16;
                })"""
            )
            assert shown == [True] * images


def test_every_measure_has_a_label() -> None:
    assert set(LABELS) == set(MEASURES)


def test_versions_are_those_of_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name not in found:
            raise PackageNotFoundError(name)
        return found[name]

    found = {"rmbg-service": "1", "numpy": "2", "opencv-python": "3", "onnxruntime-gpu": "4"}
    monkeypatch.setattr("importlib.metadata.version", version)
    versions = judged(tmp_path, moved(3)).versions
    assert versions == {"python": platform.python_version(), **found}
