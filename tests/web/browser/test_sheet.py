"""The contact sheet: starting, selecting, options for a selection, and what comes in twice."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Request, expect

from tests.fakes import PATH, FakePredictor, picture_bytes
from tests.server import running_server, wait_until
from tests.web.browser.actions import (
    choose,
    downloaded_zip,
    file,
    go,
    go_text,
    process,
    tiles,
    wait_until_done,
)
from tests.web.browser.boxes import boxes_of
from tests.web.browser.conftest import OpenPage
from tests.web.browser.pictures import still_life

MANY = [file(f"{n}.png", picture_bytes((60 + n, 40)), "image/png") for n in range(12)]


@pytest.fixture(scope="module")
def quick_url() -> Iterator[str]:
    """A server whose predictor answers at once."""
    with running_server(FakePredictor()) as address:
        yield address


def expect_selected(page: Page, *numbers: int) -> None:
    names = page.locator(".tile.selected .tile-name")
    expect(names).to_have_text([f"{number}.png" for number in numbers])


def test_what_comes_in_starts_by_itself_unless_somebody_switches_that_off(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url, autostart=True)
    choose(page, MANY[0])
    wait_until_done(page)
    page.locator("#options summary").click()
    page.get_by_label("Start as soon as images are added").uncheck()
    choose(page, MANY[1])
    expect(go_text(page)).to_have_text("Remove background")
    expect(tiles(page).nth(1)).to_contain_text("Ready")
    page.reload()
    choose(page, MANY[2])
    expect(go_text(page)).to_have_text("Remove background")  # remembered


def test_tiles_are_selected_with_the_mouse(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, *MANY[:6])
    pick = page.locator("#sheet .pick")
    pick.nth(1).click()
    expect(tiles(page).nth(1)).to_have_class("tile current")  # looking is not selecting
    pick.nth(3).click(modifiers=["Shift"])
    expect_selected(page, 1, 2, 3)
    pick.nth(2).click(modifiers=["ControlOrMeta"])
    page.get_by_label("Select 5.png").check()
    expect_selected(page, 1, 3, 5)
    expect(page.locator("#sheet-title")).to_have_text("3 selected")
    page.get_by_role("button", name="Clear selection").click()
    expect_selected(page)
    expect(page.locator("#sheet-title")).to_have_text("6 images")


def test_tiles_are_selected_with_keys(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, *MANY[:6])
    page.locator("#sheet .pick").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    expect_selected(page, 0, 1)
    page.keyboard.press("ArrowDown")
    expect(page.locator(".pick[aria-current]")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator(".tile.selected")).to_have_count(3)
    page.keyboard.press("Control+a")
    expect(page.locator(".tile.selected")).to_have_count(6)
    page.keyboard.press("Escape")
    expect_selected(page)


def test_options_and_download_are_for_the_selection(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, *MANY[:4])
    process(page)
    sent: list[str] = []

    def note(request: Request) -> None:
        if PATH in request.url:
            sent.append(request.url)

    page.on("request", note)
    page.get_by_label("Select 1.png").check()
    page.get_by_label("Select 3.png").check()
    page.locator("#options summary").click()
    expect(page.locator("#options-scope")).to_have_text("for 2 images")
    page.get_by_label("Crop to the subject").check()
    expect(go_text(page)).to_have_text("Apply to 2 images")
    process(page)
    assert len(sent) == 2
    assert all("crop=true" in url for url in sent)
    expect(go_text(page)).to_have_text("Download 2 selected")
    assert list(downloaded_zip(page)[1]) == ["1-cutout.png", "3-cutout.png"]
    page.get_by_role("button", name="Clear selection").click()
    expect(page.get_by_label("Crop to the subject")).not_to_be_checked()
    expect(go_text(page)).to_have_text("Download all 4")
    page.get_by_label("Clean edge colours").uncheck()  # for all, which keeps what two have
    process(page)
    crops = ["crop=true" in url for url in sent[2:]]
    assert crops == [False, True, False, True]


def test_many_pictures_make_a_large_sheet_and_a_click_opens_one(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, *MANY)
    process(page)
    expect(page.locator("#previews")).to_be_hidden()
    expect(go_text(page)).to_have_text("Download all 12")
    tiles(page).nth(4).locator(".pick").click()
    expect(page.locator("#result-facts")).to_have_text("64 × 40")
    expect(tiles(page).nth(4)).to_be_visible()
    page.get_by_role("button", name="Contact sheet").click()
    expect(page.locator("#previews")).to_be_hidden()
    page.locator(".pick[aria-current]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#result-facts")).to_have_text("65 × 40")


def test_looking_through_pictures_leaves_no_listeners_behind(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, *MANY[:3])
    for number in (0, 1, 2, 0):
        tiles(page).nth(number).locator(".pick").click()
        expect(page.locator("#original-facts")).to_have_text(f"{60 + number} × 40")
    browser = page.context.new_cdp_session(page)
    expression = "document.querySelector('#original > .layer')"
    layer = browser.send("Runtime.evaluate", {"expression": expression})["result"]["objectId"]
    found = browser.send("DOMDebugger.getEventListeners", {"objectId": layer})["listeners"]
    assert found == []


def test_show_failed_opens_the_next_failed_picture_and_says_why(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, *MANY[:9], file("notes.txt", b"hello", "text/plain"))
    process(page, partly=True)
    expect(page.locator("#tally")).to_have_text("9 of 10 done, 1 failed")
    expect(go_text(page)).to_have_text("Download 9")
    page.get_by_role("button", name="Show failed").click()
    expect(page.locator("#result-panel")).to_contain_text("Not an image")
    expect(page.locator("#result")).to_be_hidden()  # there is no result to look at
    page.get_by_label("Select notes.txt").check()
    expect(go_text(page)).to_have_text("Download 0 selected")
    expect(go(page)).to_be_disabled()


def test_after_a_removal_the_next_image_has_the_focus(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, *MANY[:6])
    pick = page.locator("#sheet .pick")
    pick.nth(1).click()
    pick.nth(3).click(modifiers=["Shift"])
    pick.nth(3).press("Delete")
    expect(page.locator(".tile-name")).to_have_text(["0.png", "4.png", "5.png"])
    expect(pick.nth(1)).to_be_focused()
    page.keyboard.press("Delete")
    page.keyboard.press("Delete")
    expect(pick.nth(0)).to_be_focused()
    page.keyboard.press("Delete")
    expect(page.locator("#files")).to_be_focused()


@pytest.mark.parametrize("selections", [[1, 1], [2]])
def test_the_same_file_is_noticed(
    open_page: OpenPage, quick_url: str, selections: list[int]
) -> None:
    page = open_page(quick_url)
    page.evaluate(
        """(selections) => {
            const file = new File(["x".repeat(9)], "a.png", { type: "image/png" });
            for (const times of selections) {
                const transfer = new DataTransfer();
                for (let n = 0; n < times; n++) transfer.items.add(file);
                const input = document.querySelector("#files");
                input.files = transfer.files;
                input.dispatchEvent(new Event("change"));
            }
        }""",
        selections,
    )
    expect(tiles(page)).to_have_count(1)
    expect(page.locator("#toast")).to_contain_text("a.png is already on the page")
    page.keyboard.press("Control+z")  # there is nothing to undo
    expect(page.locator("#toast")).to_be_visible()
    expect(tiles(page)).to_have_count(1)
    page.get_by_role("button", name="Add anyway").click()
    expect(tiles(page)).to_have_count(2)


def test_tiles_show_the_background_of_their_files(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, *MANY[:2])
    process(page)
    page.get_by_label("Black", exact=True).check(force=True)
    expect(tiles(page).first.locator(".thumb")).to_have_css("background-color", "rgb(0, 0, 0)")
    expect(page.locator("#go-kind")).to_have_text("PNG, on black")


def test_portraits_stand_side_by_side_and_landscapes_one_above_the_other(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url, viewport={"width": 1280, "height": 800})
    choose(page, file("tall.jpg", still_life((300, 400))), file("wide.jpg", still_life((400, 300))))

    expect(page.locator("#previews")).to_have_class(re.compile("beside"))
    original, result = boxes_of(page, "#original", "#result")
    assert result.x > original.x
    tiles(page).nth(1).locator(".pick").click()
    expect(page.locator("#previews")).not_to_have_class(re.compile("beside"))
    original, result = boxes_of(page, "#original", "#result")
    assert result.y > original.y
    assert result.x == original.x


def test_button_and_previews_stay_in_view_with_the_options_open(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url, viewport={"width": 1280, "height": 720})
    choose(page, *MANY[:6])
    page.locator("#options summary").click()
    expect(page.locator("#autostart")).to_be_in_viewport()
    page.locator("[name=shadow]").scroll_into_view_if_needed()
    for shown in (go(page), page.locator("#original"), page.locator("#result")):
        expect(shown).to_be_in_viewport(ratio=1)


def test_the_sheet_does_not_grow_over_a_picture_that_is_touched_up(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, *MANY[:8])
    process(page)
    page.get_by_role("button", name="Touch up").click()
    choose(page, *MANY[8:])
    expect(tiles(page)).to_have_count(12)
    expect(page.locator("#brush-tools")).to_be_visible()
    page.get_by_role("button", name="Done", exact=True).click()
    expect(page.locator("#result")).to_be_hidden()  # now it does


def test_of_hundreds_of_tiles_only_those_in_view_are_laid_out(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, *(file(f"{n}.png", picture_bytes((60, 40)), "image/png") for n in range(120)))
    expect(page.locator("#sheet img")).to_have_count(120)
    last = tiles(page).nth(119).locator(".pick")
    shown = "tile => tile.checkVisibility({ contentVisibilityAuto: true })"
    assert not last.evaluate(shown)
    page.locator("#sheet .pick").first.focus()
    page.keyboard.press("End")
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    wait_until(lambda: last.evaluate(shown))


HEAR = """() => {
    window.heard = [];
    const status = document.querySelector("#status");
    new MutationObserver(() => heard.push(status.textContent)).observe(status, { childList: true });
}"""


def test_a_long_run_is_announced_in_quarters_and_a_short_one_by_name(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url, autostart=True)
    page.evaluate(HEAR)
    choose(page, *(file(f"{n}.png", picture_bytes(), "image/png") for n in range(9)))
    wait_until_done(page)
    quarters = [f"{count} of 9 processed" for count in (3, 5, 7)]
    assert page.evaluate("heard") == ["Processing 9 images", *quarters, "All 9 done"]
    choose(page, file("last.png", picture_bytes((60, 50)), "image/png"))
    wait_until_done(page)
    expect(page.locator("#status")).to_have_text("All 10 done")
    assert page.evaluate("heard")[5:7] == ["Processing last.png", "Done: last.png"]
