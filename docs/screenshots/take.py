"""Take the pictures of the page that the README shows, into this folder.

    make serve                                   # in another terminal
    .venv/bin/python docs/screenshots/take.py [http://127.0.0.1:7860]

Needs Chromium (`chromium` on the path, or its path in CHROMIUM) and a font for Chinese, such as
fonts-noto-cjk.
"""

import os
import shutil
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import scenes
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).parent
DESKTOP = {"viewport": {"width": 1280, "height": 820}, "device_scale_factor": 1.5}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
# So close to the fern that the embedded model loses leaves, and strokes along those.
CLOSE = (350, 0, 1250, 1200)
LOST_LEAVES = [
    ((0.17, 0.27), (0.27, 0.36), (0.42, 0.48)),
    ((0.72, 0.31), (0.64, 0.39), (0.56, 0.48)),
    ((0.68, 0.39), (0.62, 0.45)),
    ((0.05, 0.36), (0.2, 0.4), (0.36, 0.47)),
]
DRAW_MS = 600  # thumbnails and previews follow the result
QUALITY = 82


def main() -> None:
    """Take every picture."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    plant, mug, vase = (
        _file(scene.__name__, scene()) for scene in (scenes.plant, scenes.mug, scenes.vase)
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        page = _done(browser, url, [mug, vase, plant], **DESKTOP)
        _keep(page, "light")

        shelf = [_named(each, number) for number in range(1, 5) for each in (mug, vase, plant)]
        page = _done(browser, url, shelf, color_scheme="dark", **DESKTOP)
        page.locator("#sheet").evaluate("sheet => sheet.scrollTo(0, 0)")
        _keep(page, "dark")

        page = _done(browser, url, [mug, vase, plant], locale="zh-CN", **DESKTOP)
        page.locator("#options summary").click()
        _keep(page, "chinese")

        page = _done(browser, url, [plant], **DESKTOP)
        page.locator("#compare").click()
        page.get_by_label("Colour", exact=True).check(force=True)
        _keep(page, "compare")

        page = _done(browser, url, [_file("fern", scenes.plant().crop(CLOSE))], **DESKTOP)
        page.locator("#touch-up").click()
        page.locator("#brush-size").fill("14")
        _settled(page)
        for leaf in LOST_LEAVES[:-1]:
            _stroke(page, *leaf)
            _settled(page)
        _stroke(page, *LOST_LEAVES[-1], held=True)
        _keep(page, "touch-up")

        page = _done(browser, url, [plant], **PHONE)
        page.evaluate("document.querySelector('#result-panel').scrollIntoView()")
        _keep(page, "phone")
        browser.close()


def _file(name: str, picture: Image.Image) -> dict[str, Any]:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=92)
    return {"name": f"{name}.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}


def _done(browser: Browser, url: str, files: list[Any], **context: Any) -> Page:
    """The page with the results of `files`."""
    page = browser.new_context(**{"locale": "en-US"} | context).new_page()
    page.goto(url)
    page.locator("[data-option=detail]").wait_for(state="attached")
    page.locator("#files").set_input_files(files)
    page.locator("#go[data-state=done]").wait_for(timeout=600_000)
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(DRAW_MS)
    return page


def _named(picture: dict[str, Any], number: int) -> dict[str, Any]:
    stem = picture["name"].removesuffix(".jpg")
    return picture | {"name": f"{stem}-{number}.jpg", "buffer": picture["buffer"] + bytes(number)}


def _settled(page: Page) -> None:
    page.locator("#brush-busy").wait_for(state="hidden", timeout=60_000)


def _stroke(page: Page, *points: tuple[float, float], held: bool = False) -> None:
    """Paint through points of the result, as shares of its sides; `held` without letting go."""
    result = page.locator("#result > .layer")
    result.wait_for()
    box = result.bounding_box()
    assert box is not None
    for number, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
        if number == 0:
            page.mouse.down()
    if not held:
        page.mouse.up()


def _keep(page: Page, name: str, **options: Any) -> None:
    page.wait_for_timeout(DRAW_MS)
    picture = Image.open(BytesIO(page.screenshot(**options)))
    path = FOLDER / f"{name}.webp"
    picture.convert("RGB").save(path, quality=QUALITY, method=6)
    print(f"{path.name}: {picture.width} x {picture.height}, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
