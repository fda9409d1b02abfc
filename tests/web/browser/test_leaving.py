"""Results leave the page: named, on their background, copied, dragged and shared."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Download, Page, Route, expect

from tests.fakes import PATH, FakePredictor
from tests.server import running_server, wait_until
from tests.web.browser.actions import (
    choose,
    choose_format,
    downloaded,
    downloaded_zip,
    file,
    go,
    go_text,
    opened,
    process,
    tiles,
    wait_until_done,
)
from tests.web.browser.conftest import OpenPage
from tests.web.browser.pictures import still_life

PHOTO = file("vase.jpg", still_life((400, 300)))
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
# Chromium for Linux shares nothing: a stand-in for the system's own dialog.
SHARE = """
    navigator.canShare = () => true;
    navigator.share = async ({ files }) => { window.shared = [files[0].name, files[0].type]; };
"""


@pytest.fixture(scope="module")
def quick_url() -> Iterator[str]:
    """A server that keeps the left half of every picture."""
    with running_server(FakePredictor()) as address:
        yield address


def test_a_copy_has_the_background_on_show(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url, permissions=["clipboard-read", "clipboard-write"])
    choose(page, PHOTO)
    process(page)
    page.get_by_label("Black", exact=True).check(force=True)
    page.locator("#copy").click()
    expect(page.locator("#copy")).to_have_text("Copied")
    expect(page.locator("#copy use")).to_have_attribute("href", "#i-done")  # the text may be hidden
    corner = page.evaluate(
        """async () => {
            const [item] = await navigator.clipboard.read();
            const bitmap = await createImageBitmap(await item.getType("image/png"));
            const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
            context.drawImage(bitmap, 0, 0);
            return [...context.getImageData(390, 10, 1, 1).data];
        }"""
    )
    assert corner == [0, 0, 0, 255]


def test_an_own_picture_on_show_is_the_background_of_the_file(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    page.locator("#backdrop-file").set_input_files([file("sky.jpg", still_life((80, 60)))])
    expect(page.locator("#go-kind")).to_have_text("PNG, on your image")
    made = np.asarray(opened(downloaded(page)[1]))
    assert made[..., 3].min() == 255
    assert made[10, 390, 0] > 150  # its light wall


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("shop {kind} {stem}", "shop cutout vase.png"),
        ("{stem}", "vase.png"),
        ("", "vase-cutout.png"),
        ("a/b:{stem}", "a_b_vase.png"),
        ("..{other}", "_{other}.png"),
    ],
)
def test_files_are_named_by_a_pattern(
    open_page: OpenPage, quick_url: str, pattern: str, name: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    page.locator("#file summary").click()
    page.get_by_label("File name").fill(pattern)
    page.keyboard.press("Escape")
    assert downloaded(page)[0] == name


def test_the_result_is_dragged_out_as_the_file_it_would_be(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    page.evaluate(
        """addEventListener("dragstart", ({ dataTransfer, defaultPrevented }) => {
            const kinds = [...dataTransfer.items].map(({ kind, type }) => `${kind} ${type}`);
            window.dragged = [defaultPrevented, kinds, dataTransfer.getData("DownloadURL")];
        })"""
    )
    page.locator("#result").hover()
    wait_until(lambda: page.evaluate("document.querySelector('#result').draggable"))
    page.mouse.down()
    page.locator("#result").hover(position={"x": 20, "y": 20})
    page.locator("#original").hover()
    page.mouse.up()
    prevented, kinds, address = page.evaluate("dragged")
    assert not prevented
    assert "file image/png" in kinds
    assert re.fullmatch(r"image/png:vase-cutout\.png:blob:http.*", address)
    expect(page.locator("#sheet > li")).to_have_count(1)  # its own result is no new picture


def test_a_result_that_comes_while_the_mouse_is_there_can_be_dragged_out(
    open_page: OpenPage,
) -> None:
    predictor = FakePredictor(gated=True)
    with running_server(predictor) as url:
        page = open_page(url, autostart=True)
        choose(page, PHOTO)
        page.locator("#result").hover()
        predictor.gate.set()
        wait_until_done(page)
        assert not page.evaluate("document.querySelector('#result').draggable")
        page.locator("#result").hover(position={"x": 30, "y": 30})
        wait_until(lambda: page.evaluate("document.querySelector('#result').draggable"))


def test_a_file_for_dragging_is_made_anew_when_its_format_or_background_changes(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    page.evaluate(
        """addEventListener("dragstart", ({ dataTransfer, defaultPrevented }) => {
            window.dragged = dataTransfer.getData("DownloadURL").split(":")[1];
        })"""
    )
    for change, name in (
        ("input[name=format][value=jpeg]", "vase-cutout.jpg"),
        ("input[name=format][value=matte]", "vase-matte.png"),
        ("input[name=backdrop][value=black]", "vase-matte.png"),
    ):
        page.locator("#result").hover()
        wait_until(lambda: page.evaluate("document.querySelector('#result').draggable"))
        page.evaluate("selector => document.querySelector(selector).click()", change)  # by a key
        assert not page.evaluate("document.querySelector('#result').draggable")
        page.locator("#result").hover(position={"x": 30, "y": 30})
        wait_until(lambda: page.evaluate("document.querySelector('#result').draggable"))
        page.mouse.down()
        page.locator("#result").hover(position={"x": 50, "y": 50})
        page.locator("#original").hover()
        page.mouse.up()
        assert page.evaluate("dragged") == name


def test_what_was_dragged_out_has_been_saved(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO, file("second.jpg", PHOTO["buffer"]))
    process(page)
    page.locator("#result").hover()
    wait_until(lambda: page.evaluate("document.querySelector('#result').draggable"))
    leaves = "() => dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert not page.evaluate(leaves)
    page.evaluate(  # the browser has given it to another program
        """() => {
            const event = new DragEvent("dragend", { bubbles: true });
            Object.defineProperty(event, "dataTransfer", { value: { dropEffect: "copy" } });
            document.querySelector("#result").dispatchEvent(event);
        }"""
    )
    assert page.evaluate(leaves)


def test_a_long_name_leaves_room_for_its_ending(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, file("图" * 83 + ".jpg", PHOTO["buffer"]))  # 253 bytes
    process(page)
    assert downloaded(page)[0] == "图" * 66 + "-cutout.png"


def test_a_phone_shares_the_file(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url, reduced_motion="reduce", **PHONE)
    page.add_init_script(SHARE)
    page.reload()
    expect(page.get_by_text("Choose images")).to_be_visible()
    expect(page.locator("#drop-title")).to_be_hidden()  # nobody drops on a phone
    choose(page, PHOTO)
    process(page)
    page.get_by_role("button", name="Share").tap()
    wait_until(lambda: page.evaluate("window.shared"))
    assert page.evaluate("shared") == ["vase-cutout.png", "image/png"]


def test_a_desktop_has_no_share_button(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    expect(page.locator("#share")).to_be_hidden()
    expect(go(page)).to_contain_text("Download")


def begin_packing(page: Page, predictor: FakePredictor) -> None:
    """Save the layers of two results; the service holds back the first ones."""
    choose(page, PHOTO, file("urn.jpg", still_life((300, 300))))
    process(page)
    choose_format(page, "layers")
    predictor.gate.clear()
    go(page).click()
    expect(page.locator("#progress-text")).to_have_text("Packing 1/2…")


def test_a_file_that_the_service_makes_shows_progress_and_can_be_cancelled(
    open_page: OpenPage,
) -> None:
    predictor = FakePredictor()
    with running_server(predictor) as url:
        page = open_page(url)
        choose(page, PHOTO)
        process(page)
        choose_format(page, "psd")
        predictor.gate.clear()
        go(page).click()
        expect(page.locator("#progress-text")).to_have_text("Saving the result")
        expect(go_text(page)).to_have_text("Processing…")
        page.get_by_role("button", name="Cancel").click()
        expect(go_text(page)).to_have_text("Download")
        expect(go(page)).to_be_focused()
        expect(page.locator("#dock-problem")).to_be_empty()
        predictor.gate.set()
        assert downloaded(page)[0] == "vase-cutout.psd"


def test_packing_is_cancelled_while_the_service_is_busy(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    choose_format(page, "psd")
    busy = {"status": 429, "headers": {"Retry-After": "600"}, "body": "busy"}
    page.route(f"**{PATH}*", lambda route: route.fulfill(**busy))
    with page.expect_response(f"**{PATH}*"):
        go(page).click()
    page.get_by_role("button", name="Cancel").click()
    expect(go_text(page)).to_have_text("Download")


def test_nothing_is_saved_when_packing_is_cancelled_at_its_end(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO, file("urn.jpg", still_life((300, 300))))
    process(page)
    page.evaluate(
        """() => {
            const { arrayBuffer } = Blob.prototype;
            const open = new Promise((resolve) => { window.openGate = resolve; });
            Blob.prototype.arrayBuffer = async function () {
                await open;
                return arrayBuffer.call(this);
            };
        }"""
    )
    saved: list[Download] = []
    page.on("download", lambda download: saved.append(download))
    go(page).click()
    expect(page.locator("#progress-text")).to_have_text("Packing 2/2…")
    page.get_by_role("button", name="Cancel").click()
    page.evaluate("openGate()")
    expect(go_text(page)).to_have_text("Download all 2")
    assert downloaded_zip(page)[0] == "cutouts.zip"
    assert len(saved) == 1


def test_a_photo_that_is_gone_is_what_is_said_when_a_file_is_to_be_made_of_it(
    open_page: OpenPage, quick_url: str, tmp_path: Path
) -> None:
    photo = tmp_path / "vase.jpg"
    photo.write_bytes(PHOTO["buffer"])
    page = open_page(quick_url)
    page.locator("#files").set_input_files(photo)
    process(page)
    choose_format(page, "psd")
    photo.unlink()
    go(page).click()
    expect(page.locator("#dock-problem")).to_have_text("This file can no longer be read")


def test_packing_can_be_cancelled_and_names_the_picture_that_fails(open_page: OpenPage) -> None:
    predictor = FakePredictor()
    with running_server(predictor) as url:
        page = open_page(url)
        begin_packing(page, predictor)
        expect(page.locator("#download")).to_be_disabled()
        page.get_by_role("button", name="Cancel").click()
        expect(go_text(page)).to_have_text("Download all 2")
        predictor.gate.set()

        def refuse_the_second(route: Route) -> None:
            if asked:
                route.fulfill(status=500, body="broken")
            else:
                route.continue_()
            asked.append(route.request.url)

        asked: list[str] = []
        page.route(f"**{PATH}*", refuse_the_second)
        go(page).click()
        expect(page.locator("#dock-problem")).to_contain_text("urn.jpg: Something went wrong")


def test_a_result_that_changes_while_it_is_packed_is_not_taken_for_saved(
    open_page: OpenPage,
) -> None:
    predictor = FakePredictor()
    with running_server(predictor) as url:
        page = open_page(url)
        begin_packing(page, predictor)
        tiles(page).nth(0).locator(".pick").click()
        page.locator("#touch-up").click()
        page.get_by_label("Follow edges").uncheck()
        page.locator("#result").press("Space")
        with page.expect_download():
            predictor.gate.set()
        expect(page.locator("#brush-busy")).to_be_hidden()
        page.get_by_role("button", name="Done", exact=True).click()
        expect(go_text(page)).to_have_text("Download all 2")
        assert not page.evaluate(
            "() => dispatchEvent(new Event('beforeunload', { cancelable: true }))"
        )
