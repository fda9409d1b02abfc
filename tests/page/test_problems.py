"""What the page says when something is wrong: what it is, and what to do."""

from playwright.sync_api import expect

from tests.fakes import PATH, FakePredictor, picture_bytes
from tests.page.actions import choose, file, go, rows, wait_until_done
from tests.page.conftest import OpenPage
from tests.server import running_server

PICTURE = file("ramp.png", picture_bytes(), "image/png")


def test_a_file_that_is_no_picture_is_refused_at_once(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    uploads: list[str] = []
    page.on("request", lambda r: uploads.append(r.url) if r.method == "POST" else None)
    choose(page, file("notes.txt", b"hello", "text/plain"))
    expect(page.locator("#notice")).to_contain_text("Not a picture")
    expect(page.locator("#notice")).to_contain_text("Choose a JPEG, PNG")
    expect(go(page)).to_be_disabled()
    choose(page, PICTURE)
    go(page).click()
    wait_until_done(page)
    expect(rows(page).nth(0)).to_contain_text("Not a picture")
    assert len(uploads) == 1


def test_a_broken_picture_says_so_and_the_others_go_on(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, file("broken.png", picture_bytes()[:60], "image/png"), PICTURE)
    go(page).click()
    expect(rows(page).nth(1)).to_contain_text("Done")
    broken = rows(page).nth(0)
    expect(broken).to_contain_text("The picture cannot be read")
    broken.locator(".pick").click()
    notice = page.locator("#notice")
    expect(notice).to_contain_text("save it again and retry")
    expect(notice.locator(".detail")).to_contain_text("Request ")  # with the service's own words
    broken.get_by_role("button", name="Remove broken.png").click()
    expect(go(page)).to_have_text("Done")


def test_a_file_above_the_limit_is_not_uploaded(open_page: OpenPage) -> None:
    with running_server(FakePredictor(), max_body_bytes=1000) as url:
        page = open_page(url)
        expect(page.locator("#formats")).to_contain_text("up to 1 kB")
        choose(page, file("large.png", picture_bytes() + bytes(1000), "image/png"))
        expect(page.locator("#notice")).to_contain_text("takes files up to 1 kB")


def test_too_many_pixels_say_how_many_are_allowed(open_page: OpenPage) -> None:
    with running_server(FakePredictor(), max_image_pixels=1_000_000) as url:
        page = open_page(url)
        choose(page, file("wide.png", picture_bytes((1200, 1000)), "image/png"))
        go(page).click()
        expect(page.locator("#notice")).to_contain_text("up to 1 megapixels")


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
        assert page.evaluate("JSON.stringify(localStorage)") == "{}"
        page.reload()
        expect(key).to_have_value("secret")
        other_tab = open_page(url)
        expect(other_tab.get_by_label("API key")).to_have_value("")


def test_an_answer_that_is_not_the_service_s_is_shown(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.route(f"**{PATH}*", lambda route: route.fulfill(status=502, body="Bad gateway"))
    choose(page, PICTURE)
    go(page).click()
    expect(page.locator("#notice")).to_contain_text("Something went wrong")
    expect(page.locator("#notice")).to_contain_text("Bad gateway")


def test_without_a_connection_the_run_ends_and_can_be_taken_up(
    open_page: OpenPage, url: str
) -> None:
    page = open_page(url)
    page.route(f"**{PATH}*", lambda route: route.abort())
    choose(page, PICTURE, file("second.png", picture_bytes(), "image/png"))
    go(page).click()
    expect(page.locator("#notice")).to_contain_text("No connection to the service")
    expect(rows(page).nth(1)).to_contain_text("Ready")
    page.unroute_all()
    go(page).click()
    wait_until_done(page)
