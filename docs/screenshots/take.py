"""Take the pictures of the page that the documents show, into this folder.

    make serve                                   # in another terminal
    .venv/bin/python docs/screenshots/take.py [--url http://127.0.0.1:7860] [--every FOLDER]

With `--every`, also take the page at work at every size, in both languages, light and dark, to be
looked at after a change.

Needs Chromium (`chromium` on the path, or its path in CHROMIUM) and a font for Chinese, such as
fonts-noto-cjk.
"""

import argparse
import os
import shutil
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any, Literal

import scenes
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).parent
TOUCH = {"device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DESKTOP = {"viewport": {"width": 1280, "height": 800}, "device_scale_factor": 1.5}
TABLET = {"viewport": {"width": 820, "height": 1180}} | TOUCH
PHONE = {"viewport": {"width": 390, "height": 844}} | TOUCH
SIZES: dict[str, dict[str, Any]] = {
    "1280": {"viewport": {"width": 1280, "height": 800}},
    "1440": {"viewport": {"width": 1440, "height": 900}},
    "1920": {"viewport": {"width": 1920, "height": 1080}},
    "tablet": TABLET | {"device_scale_factor": 1},
    "phone": PHONE | {"device_scale_factor": 1},
}
# So close to the fern that the embedded model loses leaves, and strokes along those.
CLOSE = (350, 0, 1250, 1200)
LOST_LEAVES = [
    ((0.18, 0.25), (0.28, 0.31), (0.38, 0.38)),
    ((0.69, 0.3), (0.62, 0.36), (0.55, 0.43)),
    ((0.68, 0.39), (0.62, 0.45)),
    ((0.05, 0.35), (0.2, 0.385), (0.35, 0.46)),
]
DRAW_MS = 600  # thumbnails and previews follow the result
QUALITY = 82


def main() -> None:
    """Take every picture."""
    parser = argparse.ArgumentParser(description="Take pictures of the page.")
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--every", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        take_for_documents(browser, args.url)
        if args.every is not None:
            args.every.mkdir(parents=True, exist_ok=True)
            take_every(browser, args.url, args.every)
        browser.close()


def take_for_documents(browser: Browser, url: str) -> None:
    """The pictures in this folder."""
    plant, mug, vase = _still_lifes()
    page = _done(browser, url, [mug, vase, plant], **DESKTOP)
    _keep(page, FOLDER / "light.webp")

    page = _done(browser, url, _shelf(), color_scheme="dark", **DESKTOP)
    page.locator("#sheet").evaluate("sheet => sheet.scrollTo(0, 0)")
    _keep(page, FOLDER / "dark.webp")

    page = _done(browser, url, [mug, vase, plant], locale="zh-CN", **DESKTOP)
    page.locator("#options summary").click()
    _keep(page, FOLDER / "chinese.webp")

    page = _done(browser, url, [plant], **DESKTOP)
    page.locator("#compare").click()
    page.get_by_label("Colour", exact=True).check(force=True)
    _keep(page, FOLDER / "compare.webp")

    page = _touched_up(browser, url, **DESKTOP)
    _stroke(page, *LOST_LEAVES[-1], held=True)
    _keep(page, FOLDER / "touch-up.webp")

    page = _done(browser, url, [plant], **PHONE)
    page.evaluate("document.querySelector('#result-panel').scrollIntoView()")
    _keep(page, FOLDER / "phone.webp")


def take_every(browser: Browser, url: str, folder: Path) -> None:
    """The page before, while and after work, at every size, in both languages, light and dark."""
    plant, mug, vase = _still_lifes()
    broken = _named(plant, 0) | {"name": "broken.jpg", "buffer": plant["buffer"][:2000]}
    for size, context in SIZES.items():
        small = size in ("tablet", "phone")

        def keep(page: Page, state: str, *, whole: bool = False, size: str = size) -> None:
            schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
            for language, scheme in product(("en", "zh"), schemes):
                page.locator(f"[data-language={language}]").dispatch_event(
                    "click"
                )  # menus stay open
                page.emulate_media(color_scheme=scheme)
                _keep(page, folder / f"{state}-{size}-{language}-{scheme}.webp", full_page=whole)

        page = _opened(browser, url, **context)
        keep(page, "start")
        page = _done(browser, url, [mug, vase, plant, broken], **context)
        keep(page, "failed", whole=small)
        page.locator("#sheet .pick").first.click()
        page.locator("#options summary").click()
        keep(page, "options", whole=small)
        page.locator("#file summary").click()
        keep(page, "file")
        page = _touched_up(browser, url, **context)
        keep(page, "touch-up", whole=small)
        page.locator("#region").click()
        keep(page, "region", whole=small)
        page = _done(browser, url, _shelf(), **context)
        page.locator(".tile-check").first.check(force=True)
        keep(page, "sheet")


def _still_lifes() -> list[dict[str, Any]]:
    return [_file(scene.__name__, scene()) for scene in (scenes.plant, scenes.mug, scenes.vase)]


def _shelf() -> list[dict[str, Any]]:
    """Twelve images."""
    plant, mug, vase = _still_lifes()
    return [_named(each, number) for number in range(1, 5) for each in (mug, vase, plant)]


def _touched_up(browser: Browser, url: str, **context: Any) -> Page:
    """The fern with strokes along all of its lost leaves but one."""
    page = _done(browser, url, [_file("fern", scenes.plant().crop(CLOSE))], **context)
    page.locator("#touch-up").click()
    page.locator("#brush-size").fill("14")
    _settled(page)
    for leaf in LOST_LEAVES[:-1]:
        _stroke(page, *leaf)
        _settled(page)
    return page


def _file(name: str, picture: Image.Image) -> dict[str, Any]:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=92)
    return {"name": f"{name}.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}


def _opened(browser: Browser, url: str, **context: Any) -> Page:
    page = browser.new_context(**{"locale": "en-US"} | context).new_page()
    page.goto(url)
    page.locator("#formats:not(:empty)").wait_for()
    return page


def _done(browser: Browser, url: str, files: list[Any], **context: Any) -> Page:
    """The page with the results of `files`."""
    page = _opened(browser, url, **context)
    page.locator("#files").set_input_files(files)
    page.locator("#go:is([data-state=done], [data-state=partial])").wait_for(timeout=600_000)
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


def _keep(page: Page, path: Path, **options: Any) -> None:
    page.wait_for_timeout(DRAW_MS)
    picture = Image.open(BytesIO(page.screenshot(**options)))
    picture.convert("RGB").save(path, quality=QUALITY, method=6)
    print(f"{path.name}: {picture.width} x {picture.height}, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
