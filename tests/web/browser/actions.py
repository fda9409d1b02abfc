"""What a person does on the page."""

import base64
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.web.browser.boxes import box_of

DONE_MS = 60_000
# What happens is drawn with the next frame.
DRAWN = "new Promise((drawn) => requestAnimationFrame(drawn))"


def file(name: str, data: bytes, kind: str = "image/jpeg") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": data}


def choose(page: Page, *files: FilePayload) -> None:
    page.locator("#files").set_input_files(list(files))


def drop(page: Page, *files: FilePayload) -> None:
    """Drop files, as a person would drag them in from a folder."""
    transfer = page.evaluate_handle(
        """async (files) => {
            const transfer = new DataTransfer();
            for (const { name, mimeType, data } of files) {
                const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type: mimeType }));
            }
            return transfer;
        }""",
        [
            {**each, "buffer": None, "data": base64.b64encode(each["buffer"]).decode()}
            for each in files
        ],
    )
    page.dispatch_event("#drop", "dragover", {"dataTransfer": transfer})
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


def drop_path(page: Page, path: Path) -> None:
    """Drop a file or a folder of this machine, by the browser's own protocol."""
    x, y = box_of(page, "#drop").at(0.5, 0.5)
    place = {"x": x, "y": y}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    browser = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": kind, "data": data} | place)
    browser.detach()


def go(page: Page) -> Locator:
    return page.locator("#go")


def process(page: Page, *, partly: bool = False) -> None:
    """Press the button and wait until everything is done."""
    go(page).click()
    wait_until_done(page, partly=partly)


def wait_until_done(page: Page, *, partly: bool = False) -> None:
    """Wait for the end of a run that has been asked for; `partly` with failures."""
    page.evaluate(DRAWN)  # until then the button may show that the run before is done
    state = "partial" if partly else "done"
    expect(go(page)).to_have_attribute("data-state", state, timeout=DONE_MS)


def wait_until_seen(page: Page) -> None:
    """Wait for the result in its preview: a run ends before the browser has decoded it."""
    expect(page.locator("#result > .layer")).to_be_visible()


def downloaded(page: Page, button: str = "#go") -> tuple[str, bytes]:
    """The name and content of the file that a button gives."""
    with page.expect_download() as started:
        page.locator(button).click()
    return started.value.suggested_filename, started.value.path().read_bytes()


def downloaded_zip(page: Page) -> tuple[str, dict[str, bytes]]:
    """The name of the ZIP that the large button gives, and its files by name, in their order."""
    name, data = downloaded(page)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len(set(names))
        return name, {each: archive.read(each) for each in names}


def choose_format(page: Page, value: str) -> None:
    """Choose the format of downloads, and close the menu."""
    page.locator("#file summary").click()
    page.locator(f"input[name=format][value={value}]").check()
    page.keyboard.press("Escape")


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def alpha_of(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(opened(data).getchannel("A"))


def go_text(page: Page) -> Locator:
    return page.locator("#go-text")


def tiles(page: Page, **filters: Any) -> Locator:
    return page.locator("#sheet > li").filter(**filters)
