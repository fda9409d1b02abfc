"""The page's jobs in Firefox."""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.programs import firefox
from tests.web.browser.firefox import running_firefox
from tests.web.browser.pictures import still_life

DONE = "document.querySelector('#go').dataset.state === 'done'"


def test_photos_are_dropped_touched_up_and_downloaded(model_url: str, tmp_path: Path) -> None:
    for name, size in {"vase.jpg": (400, 300), "urn.jpg": (320, 400)}.items():
        (tmp_path / name).write_bytes(still_life(size))
    with running_firefox(firefox(), tmp_path) as page:
        page.send("session.subscribe", events=["browsingContext.downloadEnd", "log.entryAdded"])
        page.open(model_url)
        page.wait_for("!document.querySelector('[data-option=detail]').hidden")
        page.choose("#files", tmp_path / "vase.jpg")
        page.wait_for(DONE)  # it starts by itself
        page.wait_for("document.querySelector('#result-facts').textContent === '400 × 300'")

        page.click("#touch-up")
        page.wait_for("document.querySelector('#brush-busy').hidden")
        page.click("input[name=brush][value=erase]")
        page.click("#brush-smart")
        x, y = page.box("#result > .layer").at(0.5, 0.5)
        page.drag((x, y), (x + 20, y))
        page.wait_for(
            "document.querySelector('#brush-busy').hidden &&"
            " document.querySelector('#brush-undo').ariaDisabled !== 'true'"
        )
        page.click("#brush-done")
        page.click("input[name=backdrop][value=black]")
        page.wait_for("document.querySelector('#go-kind').textContent === 'PNG, on black'")
        page.click("#go")
        done = page.event("browsingContext.downloadEnd")
        assert done["status"] == "complete"
        pixels = np.asarray(Image.open(tmp_path / "vase-cutout.png").convert("RGBA"))
        assert pixels.shape == (300, 400, 4)
        assert pixels[150, 200].tolist() == [0, 0, 0, 255]  # erased, on black
        assert pixels[220, 200, 0] > 120  # the rest of the vase

        page.choose("#files", tmp_path / "urn.jpg")
        page.wait_for("document.querySelector('#tally').textContent === 'All 2 done'")
        page.wait_for(DONE)
        page.click("#go")
        assert page.event("browsingContext.downloadEnd")["status"] == "complete"
        with zipfile.ZipFile(tmp_path / "cutouts.zip") as archive:
            assert archive.namelist() == ["vase-cutout.png", "urn-cutout.png"]
        complaints = [each for each in page.events("log.entryAdded") if each["level"] == "error"]
        assert complaints == []
