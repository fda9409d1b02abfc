"""What a marketplace asks for: the file of a preset is shown and saved as the service made it."""

from collections.abc import Iterator
from io import BytesIO

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.fakes import PATH, FakePredictor, picture_bytes
from tests.server import running_server
from tests.web.browser.actions import (
    choose,
    downloaded,
    file,
    go_text,
    opened,
    process,
    wait_until_done,
)
from tests.web.browser.conftest import OpenPage

PHOTO = file("mug.png", picture_bytes((400, 300)), "image/png")


@pytest.fixture
def framed(open_page: OpenPage) -> Iterator[tuple[Page, list[str]]]:
    """A page whose service has a preset, and the queries that it was sent."""
    with running_server(FakePredictor()) as url:
        page = open_page(url)
        facts = httpx.get(f"{url}/api/info").json()
        facts["options"] |= {"preset": ["amazon"]}
        facts["presets"] = [{"name": "amazon", "title": "Amazon, main image"}]
        page.route("**/api/info", lambda route: route.fulfill(json=facts))
        sent: list[str] = []

        def answer(route: Route) -> None:
            query = route.request.url.partition("?")[2]
            sent.append(query)
            if "preset=amazon" not in query:
                route.continue_()
                return
            buffer = BytesIO()
            Image.new("RGB", (1000, 1000), "white").save(buffer, "JPEG")
            headers = {
                "content-type": "image/jpeg",
                "x-rmbg-box": "0,0,200,300",
                "x-rmbg-placement": "fill=0.3000; factor=1.0000; limited",
            }
            route.fulfill(status=200, body=buffer.getvalue(), headers=headers)

        page.route(f"**{PATH}?*", answer)
        page.reload()
        page.locator("#options summary").click()
        page.get_by_label("Made for").select_option(label="Amazon")
        yield page, sent


def test_the_file_of_a_preset_is_saved_as_it_came(framed: tuple[Page, list[str]]) -> None:
    page, sent = framed
    expect(page.get_by_label("Crop to the subject")).to_be_hidden()  # the frame is the preset's
    choose(page, PHOTO)
    process(page)
    assert sent == ["output=cutout&preset=amazon"]
    expect(page.locator("#result-facts")).to_have_text("1000 × 1000")
    expect(page.locator("#go-kind")).to_have_text("Amazon")
    expect(page.locator("#notice")).to_contain_text("The subject is small")
    page.get_by_label("File name: Amazon").click()
    for useless in (".backdrops", "#matte", "#file .choices", "#file [data-when=jpeg]"):
        expect(page.locator(useless)).to_be_hidden()
    expect(page.locator("#compare")).to_be_disabled()
    page.get_by_label("File name", exact=True).fill("{kind}_{stem}")
    page.keyboard.press("Escape")
    name, data = downloaded(page)
    assert name == "amazon_mug.jpg"
    assert opened(data).format == "JPEG"


def test_touching_up_shows_the_whole_picture_and_then_frames_it_again(
    framed: tuple[Page, list[str]],
) -> None:
    page, sent = framed
    choose(page, PHOTO)
    process(page)
    page.locator("#touch-up").click()
    expect(page.locator("#brush-busy")).to_be_hidden()
    expect(page.locator("#result-facts")).to_have_text("400 × 300")
    page.locator("#result").focus()
    page.keyboard.press("Space")
    expect(page.locator("#brush-busy")).to_be_hidden()
    expect(page.locator("#brush-undo")).to_be_enabled()
    with page.expect_response(lambda response: "preset=amazon" in response.url):
        page.locator("#brush-done").click()
    wait_until_done(page)
    expect(page.locator("#result-facts")).to_have_text("1000 × 1000")
    assert "strokes_mode=smart" in sent[-1]
    assert "preset=amazon" in sent[-1]
    expect(go_text(page)).to_have_text("Download")
