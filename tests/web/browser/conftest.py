"""A real browser and a real server. A page that complains or asks another host fails its test.

Playwright's own event loop runs in this thread as long as its browser lives, so the tests in this
folder are plain functions, and the browser ends with the last of them.
"""

from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from rmbg_service.models.select import select_predictor
from rmbg_service.settings import Settings
from tests.fakes import FakePredictor
from tests.programs import chromium
from tests.server import running_server

PATIENCE_MS = 30_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# Chromium logs every answer of 400 and more as an error; the tests expect those of the API.
STATUS_LOG = "Failed to load resource:"
TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));"""


STARTS_BY_BUTTON = "localStorage['rmbg.autostart'] ??= 'off'"


class OpenPage(Protocol):
    """Opens the page in a context of its own; without `autostart` a run waits for the button."""

    def __call__(self, url: str, *, autostart: bool = False, **context: Any) -> Page: ...


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    complaints: list[str] = []
    contexts = []

    def complain(message: ConsoleMessage) -> None:
        api = "/api/" in message.location.get("url", "")
        if message.type in ("error", "warning") and not (api and STATUS_LOG in message.text):
            complaints.append(message.text)

    def open_page(url: str, *, autostart: bool = False, **options: Any) -> Page:
        def check(request: Request) -> None:
            if urlsplit(request.url).scheme not in ("blob", "data"):
                host = urlsplit(request.url).netloc
                if host != urlsplit(url).netloc:
                    complaints.append(f"a request to another host: {request.url}")

        context = browser.new_context(**{"locale": "en-US"} | options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(TELL_VIOLATIONS)
        if not autostart:
            page.add_init_script(STARTS_BY_BUTTON)
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", check)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="package")
def url() -> Iterator[str]:
    """A server that keeps the left half of every image."""
    with running_server(FakePredictor()) as address:
        yield address


@pytest.fixture(scope="package")
def model_url() -> Iterator[str]:
    """A server of the embedded model."""
    predictor = select_predictor(Settings(model="u2netp"))
    with running_server(predictor, model="u2netp") as address:
        yield address


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def quick_url(predictor: FakePredictor) -> Iterator[str]:
    """A server of the test's own `predictor`."""
    with running_server(predictor) as address:
        yield address
