"""The queue, cancelling and overload, with a predictor whose gate the test opens."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from playwright.sync_api import FilePayload, Page, expect

from tests.fakes import PATH, FakePredictor, picture_bytes
from tests.server import running_server, wait_until
from tests.web.browser.actions import (
    choose,
    downloaded,
    file,
    go,
    go_text,
    opened,
    process,
    tiles,
    wait_until_done,
)
from tests.web.browser.conftest import OpenPage

PICTURE = file("ramp.png", picture_bytes(), "image/png")
QUICK, SLOW = "performance.now = () => 0", "let now = 0; performance.now = () => now += 1e6"
"""Scripts after which a page takes the service for quick or slow, whatever it is."""


@contextmanager
def busy_server(**settings: Any) -> Iterator[tuple[str, FakePredictor]]:
    """A server whose predictor is held up by somebody else's picture."""
    predictor = FakePredictor(gated=True)
    with running_server(predictor, **settings) as url:
        other = threading.Thread(
            target=httpx.post,
            args=(url + PATH,),
            kwargs={
                "content": picture_bytes(),
                "headers": {"content-type": "image/png"},
                "timeout": 60,
            },
        )
        other.start()
        assert predictor.entered.acquire(timeout=30)
        yield url, predictor
        predictor.gate.set()
        other.join(30)


def process_at(page: Page, pace: str, *files: FilePayload) -> None:
    """Process files by a service of a pace: `QUICK` or `SLOW`."""
    page.evaluate(pace)
    choose(page, *files)
    process(page)


def metric(url: str, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_the_button_is_locked_and_shows_the_place_in_the_queue(open_page: OpenPage) -> None:
    with busy_server() as (url, predictor):
        page = open_page(url)
        choose(page, PICTURE)
        go(page).click()
        expect(go_text(page)).to_have_text("Processing…")
        expect(go(page)).to_be_disabled()
        expect(page.locator("#progress-text")).to_have_text("In the queue, 1 ahead")
        expect(tiles(page)).to_contain_text("In the queue, 1 ahead")
        predictor.gate.set()
        wait_until_done(page)
        expect(page.locator("#progress")).to_be_hidden()


def test_cancelling_while_queued_frees_the_job(open_page: OpenPage) -> None:
    with busy_server() as (url, predictor):
        page = open_page(url)
        choose(page, PICTURE)
        go(page).click()
        expect(page.locator("#progress-text")).to_have_text("In the queue, 1 ahead")
        page.get_by_role("button", name="Cancel").click()
        expect(tiles(page)).to_contain_text("Cancelled")
        expect(go_text(page)).to_have_text("Remove background")
        wait_until(lambda: metric(url, 'rmbg_requests_total{outcome="cancelled"}') == 1)
        predictor.gate.set()
        wait_until(lambda: metric(url, "rmbg_inflight_jobs") == 0)
        assert predictor.predicted == [1]  # the other one's picture only
        tiles(page).get_by_role("button", name="Try ramp.png again").click()
        wait_until_done(page)


def test_an_overload_counts_down_and_recovers_by_itself(open_page: OpenPage) -> None:
    with busy_server(max_inflight_jobs=1) as (url, predictor):
        page = open_page(url)
        choose(page, PICTURE)
        go(page).click()
        expect(page.locator("#progress-text")).to_have_text(
            re.compile(r"^The service is busy\. Trying again in \d+\ss\.$")
        )
        expect(go_text(page)).to_have_text("Processing…")
        predictor.gate.set()
        wait_until_done(page)
        assert metric(url, 'rmbg_rejected_total{reason="jobs"}') >= 1
        assert opened(downloaded(page)[1]).size == (64, 48)


def test_the_countdown_can_be_stopped_and_skipped(open_page: OpenPage) -> None:
    with busy_server(max_inflight_jobs=1) as (url, predictor):
        page = open_page(url)
        page.route(
            f"**{PATH}*",
            lambda route: route.fulfill(
                status=429,
                body='{"type": "overloaded", "detail": "full", "request_id": "x"}',
                headers={"Retry-After": "60", "content-type": "application/problem+json"},
            ),
        )
        choose(page, PICTURE)
        go(page).click()
        expect(page.locator("#progress-text")).to_contain_text("Trying again in 60 s")
        page.get_by_role("button", name="Cancel").click()
        expect(tiles(page)).to_contain_text("Cancelled")
        go(page).click()
        expect(page.get_by_role("button", name="Try now")).to_be_visible()
        expect(page.locator("#progress-text")).to_contain_text("Trying again in 60 s")
        page.unroute_all()
        predictor.gate.set()
        page.get_by_role("button", name="Try now").click()
        wait_until_done(page)


def test_twenty_pictures_hold_only_what_is_shown(open_page: OpenPage) -> None:
    with running_server(FakePredictor()) as url:
        page = open_page(url)
        page.add_init_script(
            """const [make, free] = [URL.createObjectURL, URL.revokeObjectURL];
            window.held = new Set();
            URL.createObjectURL = (blob) => (held.add(make(blob)), [...held].at(-1));
            URL.revokeObjectURL = (url) => (held.delete(url), free(url));"""
        )
        page.reload()
        choose(page, *(file(f"{n}.png", picture_bytes(), "image/png") for n in range(20)))
        go(page).click()
        wait_until_done(page)
        expect(page.locator("#tally")).to_have_text("All 20 done")
        wait_until(lambda: page.evaluate("held.size === 2"))  # one original, one result
        page.get_by_role("button", name="Remove all").click()
        expect(tiles(page)).to_have_count(0)
        page.get_by_role("button", name="Close").click()  # the line that offers them back
        wait_until(lambda: page.evaluate("held.size === 0"))


def test_a_run_does_not_take_away_what_somebody_looks_at(open_page: OpenPage) -> None:
    predictor = FakePredictor(gated=True)
    with running_server(predictor) as url:
        page = open_page(url)
        choose(page, *(file(f"{n}.png", picture_bytes(), "image/png") for n in range(3)))
        expect(go_text(page)).to_have_text("Remove 3 backgrounds")
        current = page.locator(".tile.current .tile-name")
        go(page).click()
        expect(page.locator("#progress-text")).to_have_text("1/3 · Finding the subject")
        expect(page).to_have_title("1/3 · Remove background")
        expect(current).to_have_text("0.png")
        tiles(page).nth(2).locator(".pick").click()
        choose(page, file("late.png", picture_bytes(), "image/png"))
        predictor.gate.set()
        wait_until_done(page)
        expect(current).to_have_text("2.png")
        expect(page).to_have_title("Remove background")
        expect(page.locator("#tally")).to_have_text("All 4 done")
        choose(page, file("new.png", picture_bytes(), "image/png"))
        expect(current).to_have_text("new.png")  # the run is over


def test_a_quick_service_gets_three_pictures_at_once_and_a_slow_one_one(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    page = open_page(quick_url)
    process_at(page, QUICK, PICTURE)
    predictor.gate.clear()
    choose(page, *(file(f"{n}.png", picture_bytes(), "image/png") for n in range(5)))
    go(page).click()
    wait_until(lambda: metric(quick_url, "rmbg_inflight_jobs") == 3)
    # Any of the three may have come to the model first.
    expect(page.locator("#progress-text")).to_have_text(re.compile("1/5 · (In the queue|Finding)"))
    expect(page.locator(".turning")).to_have_count(3)
    page.evaluate(SLOW)
    predictor.gate.set()
    wait_until_done(page)
    expect(page.locator("#tally")).to_have_text("All 6 done")
    predictor.gate.clear()
    choose(page, *(file(f"late-{n}.png", picture_bytes(), "image/png") for n in range(2)))
    go(page).click()
    wait_until(lambda: metric(quick_url, "rmbg_inflight_jobs") == 1)
    expect(page.locator(".turning")).to_have_count(1)
    predictor.gate.set()
    wait_until_done(page)


def test_what_ends_a_run_leaves_the_other_pictures_to_be_begun_again(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    page = open_page(quick_url)
    process_at(page, QUICK, PICTURE)
    predictor.gate.clear()
    choose(page, *(file(f"{n}.png", picture_bytes(), "image/png") for n in range(3)))
    lost = json.dumps({"type": "unauthorized", "title": "No", "status": 401, "detail": "no"})
    turned_away = {"status": 401, "content_type": "application/problem+json", "body": lost}
    page.route(f"**{PATH}*", lambda route: route.fulfill(**turned_away), times=1)
    go(page).click()
    expect(page.locator("#tally")).to_have_text("1 of 4 done, 1 failed")
    expect(page.locator(".turning")).to_have_count(0)
    expect(go_text(page)).to_have_text("Remove 2 backgrounds")
    predictor.gate.set()
    go(page).click()
    expect(page.locator("#tally")).to_have_text("3 of 4 done, 1 failed")


def test_a_proxy_s_refusal_without_a_time_is_waited_for(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.route(f"**{PATH}*", lambda route: route.fulfill(status=429, body="<h1>Slow down</h1>"))
    choose(page, PICTURE)
    go(page).click()
    expect(page.locator("#progress-text")).to_contain_text("The service is busy. Trying again in")
    expect(page.locator("#progress-more")).to_have_text("<h1>Slow down</h1>")
    page.unroute_all()
    page.get_by_role("button", name="Try now").click()
    wait_until_done(page)


def test_a_region_that_is_set_during_a_run_joins_it(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    page = open_page(quick_url)
    process_at(page, SLOW, file("first.png", picture_bytes((160, 120)), "image/png"))
    predictor.gate.clear()
    choose(page, PICTURE)
    go(page).click()
    tiles(page).nth(0).locator(".pick").click()
    page.get_by_role("button", name="Region", exact=True).click()
    page.keyboard.press("Enter")
    expect(tiles(page).nth(0)).to_contain_text("Waiting")
    with page.expect_request(lambda request: "roi=" in request.url):
        predictor.gate.set()
    wait_until_done(page)
    expect(page.locator("#tally")).to_have_text("All 2 done")


def test_all_are_removed_but_for_the_one_in_work(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    predictor.gate.clear()
    page = open_page(quick_url)
    choose(page, *(file(f"{n}.png", picture_bytes(), "image/png") for n in range(3)))
    go(page).click()
    expect(page.locator("#progress-text")).to_contain_text("Finding the subject")
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator("#toast-text")).to_have_text("2 images were removed.")
    expect(tiles(page)).to_have_count(1)
    predictor.gate.set()
    wait_until_done(page)


def test_cancelling_does_not_wait_for_the_matte_that_strokes_need(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    page = open_page(quick_url)
    choose(page, file("first.png", picture_bytes((160, 120)), "image/png"))
    process(page)
    page.get_by_role("button", name="Touch up").click()
    page.locator("#result").press("Space")
    expect(page.locator("#brush-busy")).to_be_hidden()
    page.get_by_role("button", name="Done", exact=True).click()
    page.locator("#options summary").click()
    page.locator("[name=detail]").select_option("off")  # which needs another matte
    predictor.gate.clear()
    before = len(predictor.predicted)
    while predictor.entered.acquire(blocking=False):
        pass
    go(page).click()
    assert predictor.entered.acquire(timeout=30)
    page.get_by_role("button", name="Cancel").click()
    expect(go_text(page)).to_have_text("Apply to 1 image")
    assert len(predictor.predicted) == before
    expect(page.locator("#progress")).to_be_hidden()
