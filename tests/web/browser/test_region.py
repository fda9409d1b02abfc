"""A part of the image in which the subject is looked for, chosen by mouse and by keys."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from tests.fakes import PATH
from tests.web.browser.actions import (
    alpha_of,
    choose,
    downloaded,
    file,
    go_text,
    process,
    tiles,
    wait_until_done,
)
from tests.web.browser.boxes import box_of, boxes_of
from tests.web.browser.conftest import OpenPage
from tests.web.browser.pictures import still_life

PHOTO = file("vase.jpg", still_life((400, 300)))
FACTS = "#region-facts"
FRAME = "#original > .region"
ORIGINAL = "#original > .layer"


def begin(page: Page) -> None:
    page.get_by_role("button", name="Region", exact=True).click()
    expect(page.locator("#original")).to_be_focused()


def apply(page: Page) -> None:
    page.locator("#region-set").click()
    wait_until_done(page)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over the original, from and to shares of its width and height."""
    box = box_of(page, ORIGINAL)
    page.mouse.move(*box.at(*start))
    page.mouse.down()
    page.mouse.move(*box.at(*end), steps=4)
    page.mouse.up()


def region(page: Page) -> list[int]:
    """Width, height, left and top of the region, in px of the image, as the page says them."""
    return [int(number) for number in re.findall(r"\d+", page.locator(FACTS).inner_text())]


def rois(page: Page) -> list[str | None]:
    """The region of each request from now on."""
    sent: list[str | None] = []

    def note(request: Request) -> None:
        if PATH in request.url:
            sent.append(parse_qs(urlsplit(request.url).query).get("roi", [None])[0])

    page.on("request", note)
    return sent


def test_a_region_is_drawn_with_the_mouse_and_sent_with_the_request(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    drag(page, (0.5, 0.25), (1.2, 0.75))  # it ends at the edge of the image
    assert region(page) == pytest.approx([200, 150, 200, 75], abs=1)
    sent = rois(page)
    apply(page)
    (roi,) = sent
    assert roi is not None
    assert [float(edge.rstrip("%")) for edge in roi.split()] == pytest.approx(
        [50, 25, 100, 75], abs=0.3
    )
    expect(page.locator(FRAME)).to_be_visible()
    expect(page.get_by_role("button", name="Region", exact=True)).to_be_focused()
    alpha = alpha_of(downloaded(page)[1])  # the left half of the region
    assert (alpha[150, 250], alpha[150, 350], alpha[150, 100], alpha[30, 250]) == (255, 0, 0, 0)


def test_sides_and_the_whole_of_a_region_are_dragged(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    begin(page)
    drag(page, (0.25, 0.25), (0.5, 0.5))
    drag(page, (0.25, 0.25), (0.125, 0.125))  # its corner
    assert region(page) == pytest.approx([150, 113, 50, 38], abs=2)
    drag(page, (0.3, 0.3), (0.4, 0.3))  # its inside
    assert region(page) == pytest.approx([150, 113, 90, 38], abs=2)
    drag(page, (0.6, 0.3), (0.1, 0.3))  # a side, past the opposite one
    assert region(page) == pytest.approx([50, 113, 40, 38], abs=2)
    before = region(page)
    drag(page, (0.8, 0.8), (0.8, 0.8))  # a click draws nothing
    assert region(page) == before


def test_a_region_is_chosen_with_keys_alone(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    button = page.get_by_role("button", name="Region", exact=True)
    expect(button).to_be_enabled()
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#original")).to_be_focused()
    width, height, left, top = region(page)
    assert (width, height, left, top) == (320, 240, 40, 30)
    for key in ("ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    moved = region(page)
    assert moved[:2] == [width, height]
    assert moved[2] > left
    assert moved[3] > top
    for key in ("Shift+ArrowLeft", "Shift+ArrowUp"):
        page.keyboard.press(key)
    smaller = region(page)
    assert smaller[0] < width
    assert smaller[1] < height
    assert smaller[2:] == moved[2:]
    for _ in range(60):
        page.keyboard.press("ArrowLeft")
    assert region(page)[2] == 0  # it stays within the image
    sent = rois(page)
    page.keyboard.press("Enter")
    wait_until_done(page)
    assert len(sent) == 1
    assert sent[0] is not None
    assert sent[0].startswith("0.000% ")
    expect(page.locator("#region-tools")).to_be_hidden()
    alpha = alpha_of(downloaded(page)[1])
    assert (alpha[150, 100], alpha[150, 250], alpha[2, 100]) == (255, 0, 0)


def test_escape_leaves_the_region_as_it_was(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    sent = rois(page)
    begin(page)
    drag(page, (0.5, 0.25), (0.9, 0.75))
    page.keyboard.press("Escape")
    expect(page.locator(FRAME)).to_be_hidden()
    expect(page.locator("#region-tools")).to_be_hidden()
    expect(go_text(page)).to_have_text("Download")
    assert sent == []


def test_each_image_keeps_its_region_until_it_is_taken_away(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO, file("urn.jpg", still_life((300, 300))))
    begin(page)
    drag(page, (0.2, 0.2), (0.8, 0.8))
    page.locator("#region-set").click()
    tiles(page).nth(1).locator(".pick").click()
    expect(page.locator(FRAME)).to_be_hidden()
    tiles(page).nth(0).locator(".pick").click()
    expect(page.locator(FRAME)).to_be_visible()
    sent = rois(page)
    process(page)
    assert [roi is None for roi in sent] == [False, True]
    tiles(page).nth(0).locator(".pick").click()
    begin(page)
    page.get_by_role("button", name="Whole image").click()
    wait_until_done(page)
    expect(page.locator(FRAME)).to_be_hidden()
    assert sent[2:] == [None]


def test_strokes_reach_beyond_the_region(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    drag(page, (0.5, 0.25), (1, 0.75))
    apply(page)
    page.get_by_role("button", name="Touch up").click()
    expect(page.locator("#region-tools")).to_be_hidden()
    page.get_by_label("Follow edges").uncheck()
    expect(page.locator("#brush-busy")).to_be_hidden()
    page.mouse.click(*box_of(page, "#result > .layer").at(0.1, 0.5))
    expect(page.locator("#brush-busy")).to_be_hidden()
    page.get_by_role("button", name="Done", exact=True).click()
    alpha = alpha_of(downloaded(page)[1])
    assert (alpha[150, 40], alpha[150, 250], alpha[150, 100]) == (255, 255, 0)


def test_a_finger_draws_and_two_zoom(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(
        quick_url,
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
    )
    choose(page, PHOTO)
    page.get_by_role("button", name="Region", exact=True).tap()
    page.locator("#original").scroll_into_view_if_needed()
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        box = box_of(page, ORIGINAL)
        at = [dict(zip("xy", box.at(*point), strict=True)) for point in points]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    offered = region(page)
    touch("touchStart", (0.3, 0.5))
    touch("touchStart", (0.3, 0.5), (0.7, 0.5))
    touch("touchMove", (0.2, 0.5), (0.8, 0.5))
    touch("touchEnd")
    expect(page.locator("#original")).to_have_class(re.compile("free"))
    assert region(page) == offered
    page.locator("#zoom-fit").tap()
    page.locator("#original").scroll_into_view_if_needed()
    touch("touchStart", (0.25, 0.25))
    touch("touchMove", (0.75, 0.75))
    touch("touchEnd")
    assert region(page) == pytest.approx([200, 150, 100, 75], abs=2)


def test_a_service_that_knows_no_region_offers_none(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    info = page.request.get(f"{quick_url}/api/info").json()
    del info["options"]["roi"]
    page.route("**/api/info", lambda route: route.fulfill(json=info))
    page.reload()
    expect(page.locator("#formats")).not_to_be_empty()
    choose(page, PHOTO)
    expect(page.get_by_role("button", name="Region", exact=True)).to_be_hidden()


def test_a_region_is_seen_from_the_start_however_far_the_view_is_zoomed_in(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, file("large.jpg", still_life((4000, 3000))))
    expect(page.locator(ORIGINAL)).to_be_visible()
    page.locator("#zoom-actual").click()
    expect(page.locator("#zoom-actual")).to_have_text("100%")
    begin(page)
    frame, view = boxes_of(page, FRAME, "#original")
    assert frame.x > view.x
    assert frame.y > view.y
