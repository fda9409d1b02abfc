"""From a photo to a cutout; with the embedded model where the cutout matters."""

from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from psd_tools import PSDImage

from tests.fakes import PATH, picture_bytes
from tests.web.browser.actions import (
    choose,
    choose_format,
    downloaded,
    downloaded_zip,
    drop,
    drop_path,
    file,
    go,
    go_text,
    opened,
    process,
    tiles,
    wait_until_done,
)
from tests.web.browser.boxes import box_of, boxes_of
from tests.web.browser.conftest import OpenPage
from tests.web.browser.pictures import still_life

PHOTO = still_life()


def test_a_dropped_photo_becomes_a_cutout_of_full_size_with_real_alpha(
    open_page: OpenPage, model_url: str
) -> None:
    page = open_page(model_url)
    expect(go_text(page)).to_have_text("Remove background")
    expect(go(page)).to_be_disabled()
    drop(page, file("vase.jpg", PHOTO))
    expect(page.locator("#original-facts")).to_have_text("1200 × 900")  # before any upload
    expect(tiles(page)).to_contain_text("vase.jpg")
    process(page)
    expect(go_text(page)).to_have_text("Download")
    name, data = downloaded(page)
    assert name == "vase-cutout.png"
    cutout = opened(data)
    assert (cutout.format, cutout.mode, cutout.size) == ("PNG", "RGBA", (1200, 900))
    alpha = np.asarray(cutout.getchannel("A"))
    assert (alpha[450, 600], alpha[50, 50]) == (255, 0)
    assert 0 < np.count_nonzero((alpha > 0) & (alpha < 255)) < 0.1 * alpha.size


def test_the_png_is_the_file_that_the_service_made(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, file("vase.jpg", PHOTO))
    process(page)
    headers = {"Accept": "image/png", "Content-Type": "image/jpeg"}
    made = httpx.post(url + PATH, content=PHOTO, headers=headers, timeout=60)
    assert downloaded(page)[1] == made.content


def test_a_pasted_picture_is_taken(open_page: OpenPage, url: str) -> None:
    page = open_page(url, permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (data) => {
            const bytes = Uint8Array.from(data);
            const blob = new Blob([bytes], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        list(still_life((320, 240), "PNG")),
    )
    page.keyboard.press("Control+V")
    expect(tiles(page)).to_have_count(1)
    process(page)
    assert opened(downloaded(page)[1]).size == (320, 240)


def test_a_text_that_is_pasted_with_a_picture_of_it_is_a_text(
    open_page: OpenPage, url: str
) -> None:
    page = open_page(url)
    choose(page, file("vase.jpg", still_life((320, 240))))
    process(page)
    page.locator("#file summary").click()
    taken = page.get_by_label("File name").evaluate(  # as office programs copy a cell
        """(field) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", "shoe");
            clipboardData.items.add(new File(["x"], "image.png", { type: "image/png" }));
            const paste = { clipboardData, bubbles: true, cancelable: true };
            return !field.dispatchEvent(new ClipboardEvent("paste", paste));
        }"""
    )
    assert not taken
    expect(tiles(page)).to_have_count(1)


def test_a_result_is_copied_to_the_clipboard(open_page: OpenPage, url: str) -> None:
    page = open_page(url, permissions=["clipboard-read", "clipboard-write"])
    choose(page, file("vase.jpg", still_life((320, 240))))
    process(page)
    page.locator("#copy").click()
    expect(page.locator("#copy")).to_have_text("Copied")
    size = page.evaluate(
        """async () => {
            const [item] = await navigator.clipboard.read();
            const bitmap = await createImageBitmap(await item.getType("image/png"));
            return [bitmap.width, bitmap.height];
        }"""
    )
    assert size == [320, 240]


def test_several_pictures_are_done_one_after_another_and_leave_as_a_zip(
    open_page: OpenPage, url: str
) -> None:
    page = open_page(url)
    small, smaller = still_life((400, 300)), still_life((200, 150))
    choose(
        page, file("a.jpg", small), file("a.jpg", smaller), file("花.png", still_life(kind="PNG"))
    )
    process(page)
    expect(page.locator("#tally")).to_have_text("All 3 done")
    name, files = downloaded_zip(page)
    assert name == "cutouts.zip"
    assert list(files) == ["a-cutout.png", "a-cutout-2.png", "花-cutout.png"]
    sizes = [opened(data).size for data in files.values()]
    assert sizes == [(400, 300), (200, 150), (1200, 900)]


@pytest.mark.parametrize("way", ["dropped", "chosen"])
def test_a_folder_is_taken_with_all_pictures_below_it(
    open_page: OpenPage, url: str, tmp_path: Path, way: str
) -> None:
    (tmp_path / "shoes/red").mkdir(parents=True)
    for name in ("shoes/10.jpg", "shoes/9.jpg", "shoes/red/9.jpg", "shoes/.hidden.jpg"):
        (tmp_path / name).write_bytes(still_life((80, 60)))
    (tmp_path / "shoes/prices.csv").write_text("9;12.50")
    (tmp_path / "empty").mkdir()
    page = open_page(url)

    def bring(folder: Path) -> None:
        if way == "chosen":
            page.locator("#folder").set_input_files(folder)
        else:
            drop_path(page, folder)

    bring(tmp_path / "empty")
    expect(page.locator("#drop-none")).to_have_text("No images were found.")
    bring(tmp_path / "shoes")
    expect(tiles(page)).to_have_count(3)
    expect(page.locator("#drop-none")).to_be_empty()
    process(page)
    names = ["shoes/9-cutout.png", "shoes/10-cutout.png", "shoes/red/9-cutout.png"]
    assert list(downloaded_zip(page)[1]) == names


def test_a_format_that_the_browser_cannot_show_is_processed(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, file("scan.tiff", still_life((400, 300), "TIFF"), "image/tiff"))
    expect(page.locator("#original .empty")).to_contain_text("cannot preview TIFF files")
    process(page)
    expect(page.locator("#result-facts")).to_have_text("400 × 300")
    expect(tiles(page).locator("img")).to_be_visible()  # drawn from the result
    expect(page.locator("#compare")).to_be_disabled()


def test_the_options_reach_the_service(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, file("vase.jpg", PHOTO))
    process(page)
    page.locator("#options summary").click()
    page.get_by_label("Crop to the subject").check()
    expect(go_text(page)).to_have_text("Apply to 1 image")
    page.get_by_label("Margin", exact=True).fill("20")
    with page.expect_request(lambda request: PATH in request.url) as sent:
        go(page).click()
    assert "crop=true&margin=20px" in sent.value.url
    wait_until_done(page)
    cropped = opened(downloaded(page)[1])
    assert cropped.size < (700, 900)
    assert np.asarray(cropped.getchannel("A"))[:20].max() < 13  # the box begins at 5 %


def test_what_was_chosen_is_there_again_and_can_be_reset(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.locator("#options summary").click()
    page.get_by_label("Crop to the subject").check()
    page.get_by_label("Margin", exact=True).fill("5")
    page.locator("[name=margin-unit]").select_option("%")
    page.locator("[name=shadow]").select_option("auto")
    page.locator("#file-form [value=jpeg]").evaluate("e => e.click()")  # before there is a result
    page.reload()
    expect(page.locator("#options-changed")).to_have_text("2 changed")
    choose(page, file("vase.jpg", still_life((400, 300))))
    with page.expect_request(lambda request: PATH in request.url) as sent:
        process(page)
    assert "shadow=auto&crop=true&margin=5%25" in sent.value.url
    expect(page.locator("#format-kind")).to_have_text("JPEG, on white")
    page.locator("#options summary").click()
    page.get_by_role("button", name="Reset to defaults").click()
    expect(page.locator("#options-changed")).to_be_empty()
    expect(tiles(page)).to_contain_text("Out of date")
    tiles(page).get_by_role("button", name="Try vase.jpg again").click()
    wait_until_done(page)
    assert opened(downloaded(page)[1]).size == (400, 300)


def test_a_psd_has_the_background_on_show_and_what_was_touched_up(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, file("vase.jpg", still_life((400, 300))))
    process(page)
    page.locator("#touch-up").click()
    page.get_by_label("Follow edges").uncheck()
    page.locator("#brush-tools input[value=erase]").check(force=True)
    expect(page.locator("#brush-busy")).to_be_hidden()
    page.mouse.click(*box_of(page, "#result > .layer").at(0.25, 0.5))
    expect(page.locator("#brush-busy")).to_be_hidden()
    page.get_by_role("button", name="Done", exact=True).click()
    choose_format(page, "psd")
    expect(page.locator("#go-kind")).to_have_text("PSD, transparent")
    name, data = downloaded(page)
    assert name == "vase-cutout.psd"
    (subject,) = PSDImage.open(BytesIO(data))
    assert subject.name == "Subject"
    alpha = np.asarray(Image.open(BytesIO(data)).getchannel("A"))
    assert (alpha[150, 100], alpha[20, 100], alpha[150, 300]) == (0, 255, 0)
    page.get_by_label("Black", exact=True).check(force=True)
    assert [layer.name for layer in PSDImage.open(BytesIO(downloaded(page)[1]))] == [
        "Background",
        "Subject",
    ]
    sky = file("sky.png", picture_bytes(), "image/png")
    page.locator("#backdrop-file").set_input_files([sky])
    expect(page.locator("#go-kind")).to_have_text("PSD, on your image")
    background, _ = PSDImage.open(BytesIO(downloaded(page)[1]))
    assert background.size == (400, 300)


def test_subject_shadow_and_matte_come_as_layers(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, file("vase.jpg", still_life((400, 300))))
    page.locator("#options summary").click()
    page.locator("[name=shadow]").select_option("drop")
    process(page)
    choose_format(page, "layers")
    name, files = downloaded_zip(page)
    assert name == "vase-layers.zip"
    assert list(files) == ["foreground.png", "shadow.png", "matte.png"]
    shadow = np.asarray(opened(files["shadow.png"]))
    assert shadow.shape == (300, 400, 4)
    assert shadow[..., 3].max() > 30
    page.route(f"**{PATH}*", lambda route: route.fulfill(status=503, body="later"))
    go(page).click()
    expect(page.locator("#dock-problem")).to_contain_text("The service is not ready")


def test_a_shadow_is_offered_where_the_service_knows_it(
    open_page: OpenPage, model_url: str
) -> None:
    page = open_page(model_url)
    choose(page, file("vase.jpg", PHOTO))
    page.locator("#options summary").click()
    shadow, strength = page.locator("[name=shadow]"), page.locator("[name=shadow_opacity]")
    expect(strength).to_be_hidden()
    shadow.select_option(label="Draw a soft one")
    strength.fill("50")
    with page.expect_request(lambda request: PATH in request.url) as sent:
        go(page).click()
    assert "shadow=drop&shadow_opacity=0.5" in sent.value.url
    wait_until_done(page)
    shadow.select_option(label="Keep original")
    process(page)  # it has none
    expect(page.locator("#notice")).to_contain_text("No shadow to keep")


def test_a_shadow_of_no_strength_is_not_said_to_be_missing(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.locator("#options summary").click()
    page.locator("[name=shadow]").select_option(label="Draw a soft one")
    page.locator("[name=shadow_opacity]").fill("0")
    choose(page, file("vase.jpg", PHOTO))
    process(page)
    expect(page.locator("#notice-title")).to_have_text("The shadow is too faint")
    expect(page.locator("#notice-advice")).to_contain_text("At this strength")


def test_an_older_service_is_not_asked_for_what_it_does_not_know(
    open_page: OpenPage, url: str
) -> None:
    facts = httpx.get(f"{url}/api/info").json()
    facts["options"] = {"detail": ["auto", "off"], "crop": [], "margin": []}
    page = open_page(url)
    page.route("**/api/info", lambda route: route.fulfill(json=facts))
    page.reload()
    page.locator("#options summary").click()
    choices = page.locator("[name=detail] option")
    expect(choices).to_have_text(["Automatic", "Plain, fastest"])
    expect(page.locator("[name=shadow]")).to_be_hidden()
    expect(page.get_by_label("Clean edge colours")).to_be_hidden()


@pytest.mark.parametrize("shadow", ["off", "drop"])
def test_a_cropped_result_lies_over_its_part_of_the_original(
    open_page: OpenPage, model_url: str, shadow: str
) -> None:
    page = open_page(model_url)
    choose(page, file("vase.jpg", PHOTO))
    page.locator("#options summary").click()
    page.locator("[name=shadow]").select_option(shadow)
    page.get_by_label("Crop to the subject").check()
    page.locator("[name=margin]").fill("30")
    with page.expect_response(lambda answer: PATH in answer.url) as answered:
        process(page)
    headers = answered.value.headers
    boxes = [headers[name] for name in ("x-rmbg-box", "x-rmbg-shadow-box") if name in headers]
    corners = [[int(number) for number in box.split(",")[:2]] for box in boxes]
    left, top = (min(values) - 30 for values in zip(*corners, strict=True))
    assert len(boxes) == (1 if shadow == "off" else 2)
    page.locator("#compare").click()
    page.locator("#zoom-actual").click()
    before, after = boxes_of(page, ".before .layer", "#result > .layer")
    assert after.x - before.x == pytest.approx(left, abs=1)
    assert after.y - before.y == pytest.approx(top, abs=1)


def test_the_background_on_show_is_the_background_of_every_format(
    open_page: OpenPage, url: str
) -> None:
    page = open_page(url)
    choose(page, file("vase.jpg", PHOTO))
    process(page)
    page.get_by_label("Colour", exact=True).check(force=True)
    for value, ending, mode in (
        ("png", "png", "RGBA"),
        ("webp", "webp", "RGB"),
        ("jpeg", "jpg", "RGB"),
        ("matte", "png", "RGBA"),
    ):
        choose_format(page, value)
        name, data = downloaded(page)
        made = opened(data)
        assert name.endswith(ending), value
        assert (made.mode, made.size) == (mode, (1200, 900)), value
        pixels = np.asarray(made)
        outside, inside = pixels[20, 1180], pixels[450, 300]
        if value == "matte":
            assert outside.tolist() == [0, 0, 0, 255]
            assert inside.tolist() == [255, 255, 255, 255]
        else:
            assert np.allclose(outside[:3], (0x7F, 0xB2, 0xA5), atol=3), value


def test_an_empty_result_says_so(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.route(
        f"**{PATH}*",
        lambda route: route.fulfill(
            status=200,
            body=still_life((40, 30), "PNG"),
            headers={"content-type": "image/png"},
        ),
    )
    choose(page, file("fog.jpg", PHOTO))
    process(page)
    expect(page.locator("#notice")).to_contain_text("No subject found")
