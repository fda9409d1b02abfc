"""Touching up a result: strokes go to the service, and what they give is what is downloaded."""

import numpy as np
from playwright.sync_api import Dialog, Download, Page, Request, Route, expect

from tests.fakes import PATH, FakePredictor
from tests.server import wait_until
from tests.web.browser.actions import (
    alpha_of,
    choose,
    choose_format,
    downloaded,
    downloaded_zip,
    file,
    go,
    go_text,
    opened,
    process,
    tiles,
    wait_until_done,
)
from tests.web.browser.boxes import box_of
from tests.web.browser.conftest import OpenPage
from tests.web.browser.pictures import still_life
from tests.web.browser.test_busy import SLOW

PHOTO = file("vase.jpg", still_life((400, 300)))
TOOLS = "#brush-tools"
RESULT = "#result > .layer"
# Images are decoded, and the sizes of results read, once `open_gate()` was called.
GATED_DECODING = """() => {
    window.waiting = 0;
    const { decode } = HTMLImageElement.prototype;
    const open = new Promise((resolve) => { window.openGate = resolve; });
    HTMLImageElement.prototype.decode = async function () {
        waiting += 1;
        await open;
        return decode.call(this);
    };
}"""
GATED_READING = """() => {
    window.waiting = 0;
    const { arrayBuffer } = Blob.prototype;
    const open = new Promise((resolve) => { window.openGate = resolve; });
    Blob.prototype.arrayBuffer = async function () {
        const bytes = await arrayBuffer.call(this);
        waiting += 1;
        await open;
        return bytes;
    };
}"""
PAINTED = """(places) => {
    const canvas = document.querySelector("#result > .strokes");
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
    copy.drawImage(canvas, 0, 0);
    const { left, top } = canvas.getBoundingClientRect();
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    return places.map((place) => {
        const right = Math.round((place[0] - left) * devicePixelRatio);
        const down = Math.round((place[1] - top) * devicePixelRatio);
        return data[(down * canvas.width + right) * 4 + 3] > 0;
    });
}"""


def begin(page: Page, *, smart: bool = False) -> None:
    page.get_by_role("button", name="Touch up").click()
    page.get_by_label("Follow edges").set_checked(smart)
    settled(page)


def settled(page: Page) -> None:
    """Wait until the service has applied what was painted."""
    expect(page.locator("#brush-busy")).to_be_hidden()


def use(page: Page, brush: str) -> None:
    page.locator(f"{TOOLS} input[value={brush}]").check(force=True)


def paint(page: Page, *points: tuple[float, float]) -> None:
    """A stroke through points of the result, as shares of its width and height."""
    box = box_of(page, RESULT)
    stroke(page, *(box.at(*point) for point in points))
    settled(page)


def stroke(page: Page, *places: tuple[float, float]) -> None:
    """A stroke through places of the window."""
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def test_a_stroke_keeps_or_erases_and_nothing_else_changes(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    before = alpha_of(downloaded(page)[1])
    assert (before[150, 100], before[150, 300]) == (255, 0)
    begin(page)
    paint(page, (0.75, 0.5))
    use(page, "erase")
    paint(page, (0.25, 0.5), (0.3, 0.5))
    page.get_by_role("button", name="Done", exact=True).click()
    after = alpha_of(downloaded(page)[1])
    assert (after[150, 100], after[150, 300]) == (0, 255)
    far = np.ones_like(after, bool)
    far[90:210, 40:360] = False
    assert np.array_equal(after[far], before[far])
    assert predictor.predicted == [1, 1]  # the result, and its matte: no stroke asks the network


def test_strokes_are_undone_redone_and_taken_away(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    untouched = downloaded(page)[1]
    begin(page)
    use(page, "erase")
    paint(page, (0.25, 0.5))
    touched = downloaded(page)[1]
    assert touched != untouched
    page.keyboard.press("Control+z")
    settled(page)
    assert downloaded(page)[1] == untouched
    page.keyboard.press("Control+Shift+Z")
    settled(page)
    assert downloaded(page)[1] == touched
    paint(page, (0.1, 0.5))
    both = downloaded(page)[1]
    again = page.get_by_role("button", name="Start again")
    again.click()
    settled(page)
    assert downloaded(page)[1] == untouched
    expect(again).to_be_disabled()
    page.keyboard.press("Control+z")  # it was pressed by mistake
    settled(page)
    assert downloaded(page)[1] == both
    page.keyboard.press("Control+z")
    settled(page)
    assert downloaded(page)[1] == touched


def test_smart_and_exact_strokes_of_one_picture_follow_each_other(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    sent: list[str] = []

    def note(request: Request) -> None:
        if PATH in request.url:
            sent.append(request.url.partition("?")[2])

    choose(page, PHOTO)
    process(page)
    page.on("request", note)
    begin(page, smart=True)
    paint(page, (0.7, 0.5))
    paint(page, (0.75, 0.6))
    page.get_by_label("Follow edges").uncheck()
    paint(page, (0.9, 0.1))
    modes = ["smart" if "strokes_mode=smart" in url else "exact" for url in sent[1:]]
    # The network's matte; two strokes; then the matte that those made, and the third one on it.
    assert "output=matte" in sent[0]
    assert modes == ["smart", "smart", "smart", "exact"]
    assert "output=matte" in sent[3]
    after = alpha_of(downloaded(page)[1])
    assert after[30, 360] == 255
    assert after[150, 280] == 255


def test_the_brush_works_with_keys_alone(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    page.locator("#result").focus()
    for _ in range(3):
        page.keyboard.press("]")
    expect(page.locator("#brush-size")).not_to_have_value("36")
    page.keyboard.press("e")
    expect(page.locator(f"{TOOLS} input[value=erase]")).to_be_checked()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    settled(page)
    page.keyboard.press("Shift+ArrowLeft")
    settled(page)
    page.keyboard.press("Escape")
    expect(page.locator(TOOLS)).to_be_hidden()
    after = alpha_of(downloaded(page)[1])
    assert after[150, 140:165].max() == 0
    assert after[20, 100] == 255


def test_the_wheel_sizes_the_brush_and_zooms_with_ctrl(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    page.locator("#result").hover()
    zoom = page.locator("#zoom-actual").inner_text()
    page.mouse.wheel(0, -100)
    size = page.locator("#brush-size")
    expect(size).not_to_have_value("36")
    larger = size.input_value()
    expect(page.locator("#zoom-actual")).to_have_text(zoom)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    expect(page.locator("#zoom-actual")).not_to_have_text(zoom)
    expect(size).to_have_value(larger)


def test_a_cropped_result_is_touched_up_as_a_whole_and_cropped_again(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    page.locator("#options summary").click()
    page.get_by_label("Crop to the subject").check()
    process(page)
    expect(page.locator("#result-facts")).to_have_text("200 × 300")
    begin(page)
    expect(page.locator("#result-facts")).to_have_text("400 × 300")
    paint(page, (0.8, 0.5))
    page.get_by_role("button", name="Done", exact=True).click()
    wait_until_done(page)
    cropped = opened(downloaded(page)[1])
    assert 300 < cropped.width < 400


def test_zip_and_layers_have_what_was_touched_up(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO, file("urn.jpg", still_life((300, 300))))
    process(page)
    tiles(page).nth(0).locator(".pick").click()
    begin(page)
    use(page, "erase")
    paint(page, (0.25, 0.5))
    page.get_by_role("button", name="Done", exact=True).click()
    expect(go_text(page)).to_have_text("Download all 2")
    assert alpha_of(downloaded_zip(page)[1]["vase-cutout.png"])[150, 100] == 0
    choose_format(page, "layers")
    _, files = downloaded_zip(page)
    layers = ["foreground.png", "shadow.png", "matte.png"]
    assert list(files) == [f"{name}-layers/{layer}" for name in ("vase", "urn") for layer in layers]
    matte = np.asarray(opened(files["vase-layers/matte.png"]).convert("L"))
    assert (matte[150, 100], matte[20, 100]) == (0, 255)


def test_a_finger_paints_and_two_zoom(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(
        quick_url,
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
    )
    choose(page, PHOTO)
    process(page)
    begin(page)
    page.locator("#result").scroll_into_view_if_needed()
    box = box_of(page, RESULT)
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [dict(zip("xy", box.at(*point), strict=True)) for point in points]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    undo = page.get_by_role("button", name="Undo", exact=True)
    touch("touchStart", (0.7, 0.5))
    touch("touchStart", (0.7, 0.5), (0.3, 0.5))
    touch("touchMove", (0.8, 0.5), (0.2, 0.5))
    touch("touchEnd")
    expect(page.locator("#result")).to_have_class("stage painted edited free")
    expect(undo).to_be_disabled()  # nothing was painted
    page.locator("#zoom-fit").tap()
    box = box_of(page, RESULT)
    touch("touchStart", (0.75, 0.5))
    touch("touchMove", (0.8, 0.5))
    touch("touchEnd")
    settled(page)
    expect(undo).to_be_enabled()
    page.get_by_role("button", name="Done", exact=True).tap()
    assert alpha_of(downloaded(page)[1])[150, 300] == 255


def test_a_service_that_knows_no_strokes_has_no_brush(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    page.route(
        "**/api/info",
        lambda route: route.fulfill(json={**route.fetch().json(), "images": ["background_image"]}),
    )
    page.reload()
    choose(page, PHOTO)
    process(page)
    expect(page.get_by_role("button", name="Touch up")).to_be_hidden()


def test_a_stroke_that_cannot_be_applied_says_why(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    page.route(f"**{PATH}*", lambda route: route.fulfill(status=500, body="broken"))
    paint(page, (0.75, 0.5))
    expect(page.locator("#brush-problem")).to_contain_text("Something went wrong")
    page.unroute_all()
    paint(page, (0.8, 0.5))
    assert alpha_of(downloaded(page)[1])[150, 300] == 255  # the stroke before is not lost


def test_done_does_not_lose_a_stroke_that_is_being_applied(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    predictor.gate.clear()  # the matte to paint on has to be waited for
    page.keyboard.press("e")
    page.locator("#result").press("Space")
    page.get_by_role("button", name="Done", exact=True).click()
    expect(page.locator("#touch-up")).to_be_focused()
    save = page.locator("#copy"), page.locator("#download")
    for button in save:
        expect(button).to_be_disabled()  # the result on show lacks the stroke
    page.locator("#result").hover()
    assert not page.evaluate("document.querySelector('#result').draggable")
    predictor.gate.set()
    wait_until_done(page)
    for button in save:
        expect(button).to_be_enabled()
    assert alpha_of(downloaded(page)[1])[150, 195] == 0


def test_what_is_downloaded_while_a_stroke_is_applied_has_it(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    predictor.gate.clear()
    page.keyboard.press("e")
    page.locator("#result").press("Space")
    expect(page.locator("#brush-busy")).to_be_visible()
    expect(go_text(page)).to_have_text("Download")
    go(page).click()
    expect(go_text(page)).to_have_text("Processing…")
    with page.expect_download() as started:
        predictor.gate.set()
    assert alpha_of(started.value.path().read_bytes())[150, 195] == 0
    expect(page.locator(TOOLS)).to_be_visible()
    expect(go_text(page)).to_have_text("Download")


def test_nothing_is_downloaded_when_the_stroke_cannot_be_applied(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    held: list[Route] = []
    saved: list[Download] = []
    page.on("download", lambda download: saved.append(download))
    page.route(f"**{PATH}*", lambda route: held.append(route))
    page.locator("#result").press("Space")
    go(page).click()
    expect(go_text(page)).to_have_text("Processing…")
    held[0].fulfill(status=500, body="broken")
    expect(page.locator("#brush-problem")).to_contain_text("Something went wrong")
    expect(go_text(page)).to_have_text("Apply to 1 image")
    expect(page.locator("#dock-problem")).to_be_empty()
    assert saved == []


def test_a_stroke_is_not_called_under_way_once_touching_up_has_ended(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    predictor.gate.clear()
    page.locator("#result").press("Space")
    expect(page.locator("#brush-busy")).to_be_visible()
    page.get_by_role("button", name="Done", exact=True).click()
    expect(page.locator("#brush-busy")).to_be_hidden()
    expect(page.locator("#outcome")).to_be_hidden()  # nor is the picture done
    expect(page.locator("#touch-up")).to_be_disabled()
    predictor.gate.set()
    wait_until_done(page)
    expect(page.locator("#tally")).to_have_text("Done")
    expect(page.locator("#touch-up")).to_be_enabled()


def test_a_stroke_that_is_painted_while_a_result_is_decoded_is_where_the_brush_was(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    use(page, "erase")
    box = box_of(page, RESULT)
    first, second = box.at(0.25, 0.25), box.at(0.25, 0.75)
    page.evaluate(GATED_DECODING)
    stroke(page, first)
    wait_until(lambda: page.evaluate("waiting") == 1)
    expect(page.locator("#brush-busy")).to_be_visible()  # its result is not seen yet
    held: list[Route] = []
    page.route(f"**{PATH}*", lambda route: held.append(route))
    stroke(page, second)
    page.evaluate("openGate()")
    expect(page.locator(RESULT)).to_be_visible()
    assert page.evaluate(PAINTED, [first, second]) == [False, True]
    expect(page.locator("#brush-busy")).to_be_visible()
    wait_until(lambda: page.evaluate("true") and len(held) == 1)
    held[0].continue_()
    settled(page)
    assert page.evaluate(PAINTED, [first, second]) == [False, False]
    page.get_by_role("button", name="Done", exact=True).click()
    alpha = alpha_of(downloaded(page)[1])
    assert (alpha[75, 100], alpha[225, 100], alpha[150, 100]) == (0, 0, 255)


def test_nothing_is_painted_before_there_is_a_result_to_see(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    expect(page.locator("#original-facts")).to_have_text("400 × 300")
    page.evaluate(GATED_DECODING)
    process(page)
    page.get_by_role("button", name="Touch up").click()
    page.get_by_label("Follow edges").uncheck()
    use(page, "erase")
    expect(page.locator("#brush-busy")).to_be_visible()
    page.locator("#result").press("Space")
    page.locator("#result").click()
    undo = page.get_by_role("button", name="Undo", exact=True)
    expect(undo).to_be_disabled()
    page.evaluate("openGate()")
    settled(page)
    expect(undo).to_be_disabled()
    page.locator("#result").press("Space")
    settled(page)
    alpha = alpha_of(downloaded(page)[1])
    assert (alpha[150, 195], alpha[20, 20]) == (0, 255)


def test_the_picture_stays_where_it_is_while_a_stroke_is_applied(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    box = box_of(page, RESULT)
    predictor.gate.clear()  # the matte to paint on has to be waited for
    stroke(page, box.at(0.75, 0.5))
    expect(page.locator("#brush-busy")).to_be_visible()
    assert box_of(page, RESULT) == box
    predictor.gate.set()
    settled(page)
    assert box_of(page, RESULT) == box


def test_a_stroke_that_is_undone_while_its_result_is_read_stays_undone(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    untouched = downloaded(page)[1]
    begin(page)
    use(page, "erase")
    page.evaluate(GATED_READING)
    stroke(page, box_of(page, RESULT).at(0.25, 0.5))
    wait_until(lambda: page.evaluate("waiting") == 1)
    page.keyboard.press("Control+z")
    page.evaluate("openGate()")
    settled(page)
    assert downloaded(page)[1] == untouched


def test_strokes_alone_are_worth_asking_before_the_page_closes(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", refuse)
    choose(page, PHOTO)
    process(page)
    begin(page)
    page.locator("#result").press("Space")
    settled(page)
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    page.get_by_role("button", name="Done", exact=True).click()
    downloaded(page)


def test_a_picture_that_is_removed_while_it_is_touched_up_does_not_block_the_page(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url)
    page.locator("#options summary").click()
    page.get_by_label("Crop to the subject").check()  # so the strokes are applied once more
    choose(page, PHOTO, file("urn.jpg", still_life((300, 300))))
    process(page)
    tiles(page).nth(0).locator(".pick").click()
    begin(page)
    paint(page, (0.8, 0.5))
    tiles(page).nth(0).get_by_role("button", name="Remove vase.jpg").click()
    expect(page.locator(TOOLS)).to_be_hidden()
    expect(go_text(page)).to_have_text("Download")
    page.locator("#toast-act").click()
    expect(go_text(page)).to_have_text("Apply to 1 image")
    process(page)
    _, files = downloaded_zip(page)
    assert opened(files["vase-cutout.png"]).width > 300  # with what was kept


def test_a_run_leaves_a_picture_that_is_touched_up_alone(
    open_page: OpenPage, quick_url: str, predictor: FakePredictor
) -> None:
    page = open_page(quick_url)
    page.evaluate(SLOW)
    choose(page, PHOTO, file("urn.jpg", still_life((300, 300))))
    process(page)
    page.locator("#options summary").click()
    page.get_by_label("Clean edge colours").uncheck()
    predictor.gate.clear()
    go(page).click()
    tiles(page).nth(1).locator(".pick").click()
    page.get_by_role("button", name="Touch up").click()
    predictor.gate.set()
    expect(go_text(page)).to_have_text("Apply to 1 image")
    settled(page)
    page.get_by_label("Follow edges").uncheck()
    use(page, "erase")
    paint(page, (0.25, 0.5))
    page.get_by_role("button", name="Done", exact=True).click()
    expect(go_text(page)).to_have_text("Download all 2")
    assert alpha_of(downloaded_zip(page)[1]["urn-cutout.png"])[150, 75] == 0


def test_the_list_of_keys_keeps_its_keys_to_itself(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    choose(page, PHOTO)
    process(page)
    begin(page)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("e")
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    expect(page.locator(TOOLS)).to_be_visible()
    expect(page.locator(f"{TOOLS} input[value=keep]")).to_be_checked()
