"""What the page says when something is wrong: what it is, and what to do."""

import re
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Dialog, expect

from rmbg_service.errors import InferenceError, OutOfDeviceMemory
from tests.fakes import PATH, FakePredictor, picture_bytes
from tests.server import running_server
from tests.web.browser.actions import (
    choose,
    choose_format,
    file,
    go,
    go_text,
    process,
    tiles,
    wait_until_done,
)
from tests.web.browser.conftest import OpenPage

PICTURE = file("ramp.png", picture_bytes(), "image/png")


def test_a_file_that_is_no_picture_is_refused_at_once(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    uploads: list[str] = []
    page.on("request", lambda r: uploads.append(r.url) if r.method == "POST" else None)
    choose(page, file("notes.txt", b"hello", "text/plain"))
    expect(page.locator("#notice")).to_contain_text("Not an image")
    expect(page.locator("#notice")).to_contain_text("Choose a JPEG, PNG")
    expect(go(page)).to_be_disabled()
    choose(page, PICTURE)
    process(page, partly=True)
    expect(tiles(page).nth(0)).to_contain_text("Not an image")
    assert len(uploads) == 1


def test_a_broken_picture_says_so_and_the_others_go_on(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, file("broken.png", picture_bytes()[:60], "image/png"), PICTURE)
    go(page).click()
    expect(tiles(page).nth(1)).to_contain_text("Done")
    broken = tiles(page).nth(0)
    expect(broken).to_contain_text("The image cannot be read")
    broken.locator(".pick").click()
    notice = page.locator("#notice")
    expect(notice).to_contain_text("save it again and retry")
    expect(notice.locator(".detail")).to_contain_text("Request ")  # with the service's own words
    broken.get_by_role("button", name="Remove broken.png").click()
    expect(go_text(page)).to_have_text("Download")


def test_the_service_speaks_the_language_of_the_page(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.get_by_role("button", name="中文").click()
    choose(page, file("broken.png", picture_bytes()[:60], "image/png"))
    go(page).click()
    notice = page.locator("#notice")
    expect(notice).to_contain_text("无法读取图片")
    expect(notice.locator(".detail")).to_contain_text("png 文件无法解码：")


def test_what_the_page_has_said_changes_its_language(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    pictures = PICTURE, file("second.png", picture_bytes(), "image/png")
    choose(page, file("broken.png", picture_bytes()[:60], "image/png"), *pictures)
    process(page, partly=True)
    notice = page.locator("#notice")
    expect(notice.locator(".detail")).to_have_text(re.compile("cannot be decoded.* · Request "))
    tiles(page).nth(1).locator(".pick").click()
    expect(page.locator(".tile.current")).to_contain_text("ramp.png")
    page.locator("#backdrop-file").set_input_files([file("scan.tiff", b"II*", "image/tiff")])
    expect(page.locator("#save-problem")).to_contain_text("cannot show that image")
    page.get_by_role("button", name="Remove second.png").click()
    expect(page.locator("#toast")).to_contain_text("second.png was removed.")

    page.get_by_role("button", name="中文").click()
    expect(page.locator("#save-problem")).to_contain_text("此浏览器无法显示")
    expect(page.locator("#toast")).to_contain_text("已移除 second.png")
    tiles(page).nth(0).locator(".pick").click()
    expect(notice).to_contain_text("无法读取图片")
    expect(notice.locator(".detail")).to_have_text(re.compile("^请求编号"))  # no English in it

    page.get_by_role("button", name="English").click()
    expect(notice.locator(".detail")).to_contain_text("cannot be decoded")


def test_a_file_above_the_limit_is_not_uploaded(open_page: OpenPage) -> None:
    with running_server(FakePredictor(), max_body_bytes=1000) as url:
        page = open_page(url)
        expect(page.locator("#formats")).to_contain_text("up to 1 kB")
        choose(page, file("large.png", picture_bytes() + bytes(1000), "image/png"))
        expect(page.locator("#notice")).to_contain_text("accepts files up to 1 kB")


def test_too_many_pixels_say_how_many_are_allowed(open_page: OpenPage) -> None:
    with running_server(FakePredictor(), max_image_pixels=1_000_000) as url:
        page = open_page(url)
        choose(page, file("wide.png", picture_bytes((1200, 1000)), "image/png"))
        go(page).click()
        expect(page.locator("#notice")).to_contain_text("up to 1 megapixel and")


def test_a_key_is_asked_for_and_kept_for_the_tab_only(open_page: OpenPage) -> None:
    with running_server(FakePredictor(), api_keys="secret") as url:
        page = open_page(url)
        key = page.get_by_label("API key")
        expect(key).to_be_visible()
        choose(page, PICTURE)
        go(page).click()
        expect(page.locator("#notice")).to_contain_text("The key is missing or wrong")
        expect(key).to_be_focused()
        key.fill("secret")
        key.press("Enter")
        wait_until_done(page)
        expect(key).to_be_hidden()  # it is accepted, and folds away
        expect(page.locator("#key-state")).to_have_text("accepted")
        assert "secret" not in page.evaluate("JSON.stringify(localStorage)")
        page.locator("#key summary").click()
        key.fill("expired")
        page.locator("#key summary").click()
        choose_format(page, "psd")
        go(page).click()
        expect(page.locator("#dock-problem")).to_contain_text("The key is missing or wrong")
        expect(key).to_be_visible()  # whatever the service was asked for
        expect(page.locator("#key-state")).to_be_empty()
        key.fill("secret")
        page.reload()
        expect(key).to_have_value("secret")
        other_tab = open_page(url)
        expect(other_tab.get_by_label("API key")).to_have_value("")


def test_a_service_that_tells_nothing_without_a_key_works_once_it_is_entered(
    open_page: OpenPage,
) -> None:
    with running_server(FakePredictor(), api_keys="secret", open_endpoints="none") as url:
        page = open_page(url)
        key = page.get_by_label("API key")
        expect(key).to_be_visible()
        key.fill("secret")
        choose(page, PICTURE)
        go(page).click()
        wait_until_done(page)


def test_the_page_learns_what_there_is_as_soon_as_the_key_is_entered(open_page: OpenPage) -> None:
    with running_server(FakePredictor(), api_keys="secret", open_endpoints="none") as url:
        page = open_page(url)
        page.add_init_script(  # nothing is asked for again by itself
            """const later = setTimeout;
            window.setTimeout = (act, ms) => ms < 10_000 ? later(act, ms) : 0;"""
        )
        page.reload()
        key = page.get_by_label("API key")
        key.fill("secret")
        key.press("Enter")
        expect(page.locator("#formats")).not_to_be_empty()


def test_an_answer_that_is_not_the_service_s_is_shown(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.route(f"**{PATH}*", lambda route: route.fulfill(status=501, body="Bad gateway"))
    choose(page, PICTURE)
    go(page).click()
    expect(page.locator("#notice")).to_contain_text("Something went wrong")
    expect(page.locator("#notice")).to_contain_text("Bad gateway")


def test_without_a_connection_the_run_ends_and_can_be_taken_up(
    open_page: OpenPage, url: str
) -> None:
    page = open_page(url)
    tries: list[str] = []
    page.on("requestfailed", lambda request: tries.append(request.url))
    page.route(f"**{PATH}*", lambda route: route.abort())
    choose(page, PICTURE, file("second.png", picture_bytes(), "image/png"))
    go(page).click()
    expect(page.locator("#progress-text")).to_contain_text("No connection to the service. Trying")
    while not page.locator("#notice").is_visible():
        page.locator("#now").dispatch_event("click")
    expect(page.locator("#notice")).to_contain_text("No connection to the service")
    assert len(tries) == 6
    expect(tiles(page).nth(1)).to_contain_text("Ready")
    expect(page.locator("#status")).to_have_text("0 of 2 done, 1 failed")
    page.unroute_all()
    process(page, partly=True)
    page.get_by_role("button", name="Try 1 again").click()
    wait_until_done(page)


def test_a_connection_that_comes_back_is_used_by_itself(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.route(f"**{PATH}*", lambda route: route.abort(), times=1)
    choose(page, PICTURE)
    go(page).click()
    wait_until_done(page)


def test_what_failed_is_counted_shown_and_tried_again(open_page: OpenPage) -> None:
    predictor = FakePredictor(errors=[InferenceError("NaN")])
    with running_server(predictor) as url:
        page = open_page(url)
        choose(page, *(file(f"{n}.png", picture_bytes(), "image/png") for n in range(3)))
        go(page).click()
        failed = page.get_by_role("button", name="Show failed")
        expect(failed).to_be_visible()
        expect(page.locator("#notice")).to_contain_text("The model failed on this image")
        expect(page.locator("#status")).to_have_text("2 of 3 done, 1 failed")
        tiles(page).nth(2).locator(".pick").click()
        failed.click()
        expect(page.locator(".tile.current")).to_contain_text("0.png")
        expect(page.locator("#result-panel #notice")).to_contain_text(
            "The model failed on this image"
        )
        expect(go_text(page)).to_have_text("Download 2")
        page.get_by_role("button", name="Try 1 again").click()
        wait_until_done(page)
        expect(failed).to_be_hidden()


def test_a_full_device_costs_one_picture_and_not_the_service(open_page: OpenPage) -> None:
    predictor = FakePredictor(errors=[OutOfDeviceMemory("full"), OutOfDeviceMemory("full")])
    with running_server(predictor) as url:
        page = open_page(url)
        choose(page, *(file(f"{n}.png", picture_bytes(), "image/png") for n in range(2)))
        go(page).click()
        expect(tiles(page).nth(1)).to_contain_text("Done")
        expect(tiles(page).nth(0)).to_contain_text("The accelerator is out of memory")
        assert len(predictor.predicted) == 3  # tried twice by the service, once by the page


def test_what_can_have_no_result_does_not_keep_the_rest_from_being_done(
    open_page: OpenPage, url: str
) -> None:
    page = open_page(url)
    choose(page, file("broken.png", picture_bytes()[:60], "image/png"), PICTURE)
    process(page, partly=True)
    expect(page.locator("#tally")).to_have_text("1 of 2 done, 1 failed")


@pytest.mark.parametrize("kept", ['{"format": "tiff"}', "[", "7", '{"quality": {}}'])
def test_anything_may_have_been_kept(open_page: OpenPage, url: str, kept: str) -> None:
    page = open_page(url)
    page.evaluate("""kept => ["rmbg.file", "rmbg.options"].forEach(
        (name) => localStorage.setItem(name, kept))""", kept)  # fmt: skip
    page.reload()
    choose(page, PICTURE)
    go(page).click()
    wait_until_done(page)
    expect(page.locator("#format-kind")).to_have_text("PNG, transparent")


def test_removed_results_come_back_and_the_browser_asks_before_it_leaves(
    open_page: OpenPage, url: str
) -> None:
    page = open_page(url)
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", refuse)
    choose(page, PICTURE, file("second.png", picture_bytes((60, 40)), "image/png"))
    go(page).click()
    wait_until_done(page)
    tiles(page).nth(0).get_by_role("button", name="Remove ramp.png").click()
    expect(tiles(page)).to_have_count(1)
    expect(page.locator("#toast")).to_contain_text("ramp.png was removed")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator(".tile-name")).to_have_text(["ramp.png", "second.png"])
    page.get_by_role("button", name="Remove all").click()
    expect(tiles(page)).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(tiles(page)).to_have_count(2)
    expect(go_text(page)).to_have_text("Download all 2")
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    with page.expect_download():
        go(page).click()


def test_the_last_of_two_removals_comes_back(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, *(file(f"{n}.png", picture_bytes((60 + n, 40)), "image/png") for n in range(4)))
    page.locator("#sheet .pick").nth(0).press("Delete")
    expect(page.locator("#toast")).to_contain_text("0.png was removed")
    page.keyboard.press("Delete")
    expect(page.locator("#toast")).to_contain_text("1.png was removed")
    page.keyboard.press("Control+z")
    expect(page.locator(".tile-name")).to_have_text(["1.png", "2.png", "3.png"])


def test_a_background_that_the_browser_cannot_show_says_so(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, PICTURE)
    go(page).click()
    wait_until_done(page)
    scan = file("scan.tiff", picture_bytes(kind="TIFF"), "image/tiff")
    page.locator("#backdrop-file").set_input_files([scan])
    expect(page.locator("#save-problem")).to_contain_text("cannot show that image")
    expect(page.get_by_role("radio", name="Transparent")).to_be_checked()
    page.locator("#backdrop-file").set_input_files([PICTURE])
    expect(page.locator("#save-problem")).to_be_empty()


@pytest.mark.parametrize(
    ("name", "data", "kind", "title"),
    [
        ("empty.jpg", b"", "image/jpeg", "The file is empty"),
        ("logo.svg", b"<svg/>", "image/svg+xml", "This kind of file is not accepted"),
    ],
)
def test_a_refused_file_says_what_is_wrong_with_it(
    open_page: OpenPage, url: str, name: str, data: bytes, kind: str, title: str
) -> None:
    page = open_page(url)
    choose(page, file(name, data, kind))
    expect(page.locator("#notice-title")).to_have_text(title)
    expect(page.locator("#notice-retry")).to_be_hidden()


def test_a_picture_too_large_to_be_decoded_is_not(open_page: OpenPage, url: str) -> None:
    buffer = BytesIO()
    Image.new("1", (12_000, 9_000)).save(buffer, "PNG")
    page = open_page(url)
    choose(page, file("poster.png", buffer.getvalue(), "image/png"), PICTURE)
    expect(page.locator("#sheet img")).to_have_count(1)  # of the other one
    tiles(page).nth(0).locator(".pick").click()
    none = page.locator("#original .empty")
    expect(none).to_have_text("Images above 100 megapixels have no preview")
    page.locator("[data-language=zh]").click()
    expect(none).to_have_text("超过 1 亿像素的图片不提供预览")


def test_a_link_that_is_dropped_says_what_to_do(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    drop = """(type) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.setData(type, "https://shop.test/shoe.png");
        for (const kind of ["dragover", "drop"]) {
            const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer });
            document.body.dispatchEvent(event);
        }
    }"""
    page.evaluate(drop, "text/plain")
    expect(page.locator("#drop-none")).to_be_empty()
    page.evaluate(drop, "text/uri-list")
    expect(page.locator("#drop-none")).to_contain_text("Copy the image there and paste it here")
    choose(page, PICTURE)
    expect(page.locator("#drop-none")).to_be_empty()
