"""At 100% each pixel of a file is one of the screen, whatever the screen's ratio to CSS px."""

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.programs import chromium
from tests.web.browser.actions import choose, file, process
from tests.web.browser.boxes import box_of
from tests.web.browser.conftest import ARGUMENTS, OpenPage

HALF = 40


@pytest.fixture(scope="module", params=[1, 1.25, 1.5])
def browser(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A browser on such a screen: Playwright's own ratio scales what was laid out for 1."""
    screen = [f"--force-device-scale-factor={request.param}", "--window-size=1280,900"]
    arguments = [*ARGUMENTS, *screen]
    on_screen = browser.browser_type.launch(executable_path=chromium(), args=arguments)
    yield on_screen
    on_screen.close()


def checks(width: int, height: int) -> bytes:
    """Black and white pixels in turn: a shift of a sixteenth of a pixel makes them grey."""
    grey = (np.indices((height, width)).sum(axis=0) % 2 * 255).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(grey).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def seen(page: Page, stage: str) -> set[int]:
    """The greys around the middle of the left half of a preview, which the fake model keeps."""
    ratio = page.evaluate("devicePixelRatio")
    x, y = (ratio * place for place in box_of(page, stage).at(0.25, 0.5))
    screen = np.asarray(Image.open(BytesIO(page.screenshot())).convert("L"))
    part = screen[round(y) - HALF : round(y) + HALF, round(x) - HALF : round(x) + HALF]
    return set(part.ravel().tolist())


def test_at_actual_size_every_pixel_is_one_of_the_screen(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url, no_viewport=True)
    choose(page, file("checks.png", checks(1201, 901), "image/png"))
    process(page)
    page.locator("#zoom-actual").click()
    for pixels in range(4):  # the previews begin at different fractions of a pixel
        page.locator("header.bar").evaluate(
            "(header, height) => { header.style.height = height; }", f"{60 + 0.37 * pixels}px"
        )
        expect(page.locator("#zoom-actual")).to_have_text("100%")
        assert seen(page, "#original") == seen(page, "#result") == {0, 255}
    page.locator("#result").hover()
    page.mouse.down()
    page.mouse.move(700.3, 500.9)
    page.mouse.up()
    assert seen(page, "#original") == seen(page, "#result") == {0, 255}
