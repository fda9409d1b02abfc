"""Languages, keyboard, phone, zoom, comparison, accessibility, and /docs."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.fakes import FakePredictor, picture_bytes
from tests.programs import npm_file
from tests.server import running_server
from tests.web.browser.actions import (
    choose,
    file,
    go,
    go_text,
    process,
    tiles,
    wait_until_done,
    wait_until_seen,
)
from tests.web.browser.boxes import box_of, boxes_of
from tests.web.browser.conftest import OpenPage
from tests.web.browser.pictures import still_life

PICTURE = file("vase.jpg", still_life((800, 600)))
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
# WCAG 2.2, 2.5.8: a target has 24 by 24 CSS px; links in a text and hidden inputs are exempt.
SMALL_TARGETS = """() => [...document.querySelectorAll("button, summary, select, label:has(input)")]
    .map((element) => [element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
    .filter(([, { width, height }]) => width > 0 && (width < 24 || height < 24))
    .map(([html]) => html)"""


def test_chinese_by_the_browser_and_by_the_switch(open_page: OpenPage, url: str) -> None:
    page = open_page(url, locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(go_text(page)).to_have_text("一键抠图")
    choose(page, PICTURE)
    process(page)
    expect(go_text(page)).to_have_text("下载")
    page.get_by_role("button", name="English").click()
    expect(go_text(page)).to_have_text("Download")
    page.reload()
    expect(go_text(page)).to_have_text("Remove background")  # remembered
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_chinese_while_working(open_page: OpenPage) -> None:
    predictor = FakePredictor(gated=True)
    with running_server(predictor) as url:
        page = open_page(url, locale="zh-TW")
        choose(page, PICTURE)
        go(page).click()
        expect(go_text(page)).to_have_text("处理中…")
        expect(page.locator("#progress-text")).to_have_text("正在识别主体")
        predictor.gate.set()
        wait_until_done(page)


def test_everything_works_with_the_keyboard_alone(open_page: OpenPage, url: str) -> None:
    page = open_page(url)

    def tab_to(selector: str) -> None:
        for _ in range(60):
            if page.locator(selector).evaluate("element => element === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not come to {selector}")

    # Playwright answers the chooser only from some time after this begins; Tab is that time.
    with page.expect_file_chooser() as chooser:
        tab_to("#files")
        page.keyboard.press("Enter")
    chooser.value.set_files([PICTURE])
    expect(go(page)).to_be_enabled()
    tab_to("#go")
    page.keyboard.press("Enter")
    wait_until_done(page)
    expect(go(page)).to_be_focused()  # a locked button keeps the focus
    wait_until_seen(page)
    tab_to("#result")
    page.keyboard.press("1")
    expect(page.locator("#zoom-actual")).to_have_text("100%")
    page.keyboard.press("+")
    expect(page.locator("#zoom-actual")).to_have_text("125%")
    before = place(page)
    page.keyboard.press("ArrowRight")
    assert place(page) != before
    page.keyboard.press("0")
    expect(page.locator("#zoom-actual")).not_to_have_text("125%")
    tab_to("#compare")
    page.keyboard.press("Space")
    expect(page.locator("#split")).to_be_focused()
    expect(page.locator("#split")).to_have_value("50")
    line = split_at(page)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#split")).to_have_value("51")
    shown = box_of(page, "#result > .layer")
    assert split_at(page) - line == pytest.approx(shown.width / 100, abs=0.1)
    tab_to("#file summary")
    page.keyboard.press("Enter")
    expect(page.locator("#file-form")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#file-form")).to_be_hidden()
    tab_to("#go")
    with page.expect_download():
        page.keyboard.press("Enter")


def split_at(page: Page) -> float:
    return float(
        page.locator("#result").evaluate("e => parseFloat(e.style.getPropertyValue('--split'))")
    )


def place(page: Page, stage: str = "#result") -> str:
    transform = page.locator(f"{stage} > .layer").evaluate("e => e.style.transform")
    return str(transform)


def test_wheel_and_drag_move_both_previews(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, PICTURE)
    process(page)
    wait_until_seen(page)
    x, y = box_of(page, "#result").at(0.5, 0.5)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    expect(page.locator("#result")).to_have_class(re.compile("free"))
    zoomed = place(page)
    page.mouse.down()
    page.mouse.move(x + 50, y + 30)
    page.mouse.up()
    assert place(page) != zoomed
    expect(page.locator("#original")).to_have_class(re.compile("free"))
    page.get_by_role("button", name="Fit").click()
    expect(page.locator("#original")).not_to_have_class(re.compile("free"))


def test_what_nearly_fits_is_not_called_actual_size(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    width, height = page.locator("#original").evaluate("e => [e.clientWidth, e.clientHeight]")
    for more, says in ((1.003, "99.7%"), (1.02, "98%"), (0.5, "100%")):
        size = round(width * more), round(height * 0.4)
        choose(page, file(f"{more}.png", picture_bytes(size), "image/png"))
        expect(page.locator("#original-facts")).to_have_text(f"{size[0]} × {size[1]}")
        expect(page.locator("#zoom-actual")).to_have_text(says)


def test_a_window_that_comes_to_another_screen_is_drawn_for_it(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url, viewport={"width": 1280, "height": 800})
    choose(page, file("ramp.png", picture_bytes((801, 601)), "image/png"))
    page.locator("#zoom-actual").click()
    screen = page.context.new_cdp_session(page)
    metrics = {"width": 1280, "height": 800, "deviceScaleFactor": 2, "mobile": False}
    screen.send("Emulation.setDeviceMetricsOverride", metrics)
    screen.send("Page.captureScreenshot")  # media queries are looked at with every frame
    expect(page.locator("#original > .layer")).to_have_css("width", "400.5px")


def test_the_contact_sheet_is_one_stop_for_the_keyboard(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, *(file(f"{n}.jpg", still_life((80, 60))) for n in range(30)))
    page.locator("#sheet .pick").first.focus()
    current = page.locator(".pick[aria-current]")
    for key, name in {"ArrowRight": "1.jpg", "End": "29.jpg", "ArrowLeft": "28.jpg"}.items():
        page.keyboard.press(key)
        expect(current).to_be_focused()
        expect(current).to_contain_text(name)
        expect(current).to_be_in_viewport()
    page.keyboard.press("Delete")
    expect(tiles(page)).to_have_count(29)
    expect(current).to_be_focused()
    tiles(page).nth(3).get_by_role("button", name="Remove 3.jpg").click()
    page.keyboard.press("Delete")  # the focus is on the next one, which is not shown
    names = page.locator(".tile-name").all_inner_texts()
    assert names[2:5] == ["2.jpg", "5.jpg", "6.jpg"]
    current.focus()
    for _ in range(3):  # its check box and remove button, then out of the list
        page.keyboard.press("Tab")
    assert not page.evaluate("document.querySelector('#sheet').contains(document.activeElement)")
    page.keyboard.press("Control+Enter")
    expect(go_text(page)).to_have_text("Processing…")
    page.get_by_role("button", name="Cancel").click()
    expect(go_text(page)).not_to_have_text("Processing…")


def test_the_result_can_take_the_whole_area(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, PICTURE)
    process(page)
    before = box_of(page, "#result")
    page.get_by_role("button", name="Enlarge the result").click()
    expect(page.locator("#original")).to_be_hidden()
    assert box_of(page, "#result").height > before.height + 150
    page.locator("#file summary").click()
    page.keyboard.press("Escape")
    expect(page.locator("#file-form")).to_be_hidden()
    expect(page.locator("#original")).to_be_hidden()  # one Escape, one step back
    page.keyboard.press("Escape")
    expect(page.locator("#original")).to_be_visible()


def test_contrast_themes_keep_the_backgrounds(open_page: OpenPage, url: str) -> None:
    page = open_page(url, forced_colors="active")
    choose(page, PICTURE)
    process(page)
    page.get_by_label("Black", exact=True).check(force=True)
    backdrop = page.locator("#result > .backdrop")
    expect(backdrop).to_have_css("background-color", "rgb(0, 0, 0)")
    expect(go(page)).to_have_css("border-top-style", "solid")


def test_backgrounds_and_matte_change_the_preview(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, PICTURE)
    process(page)
    backdrop = page.locator("#result > .backdrop")
    for label, colour in {"White": "rgb(255, 255, 255)", "Black": "rgb(0, 0, 0)"}.items():
        page.get_by_label(label, exact=True).check(force=True)
        expect(backdrop).to_have_css("background-color", colour)
    page.locator("#backdrop-file").set_input_files([file("sky.png", picture_bytes(), "image/png")])
    expect(backdrop).to_have_css("background-image", re.compile("blob:"))
    page.get_by_role("button", name="Matte").click()
    expect(page.locator("#result > .layer")).to_have_css("filter", "brightness(0) invert(1)")
    expect(go_text(page)).to_have_text("Download")


def test_a_phone_stacks_everything_and_needs_no_sideways_scrolling(
    open_page: OpenPage, url: str
) -> None:
    page = open_page(url, **PHONE)
    choose(page, PICTURE)
    go(page).tap()
    wait_until_done(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    tops = page.evaluate(  # at one moment: the page scrolls to the result
        """["#drop", "#sheet", "#original", "#result"]
            .map((name) => document.querySelector(name).getBoundingClientRect().top)"""
    )
    assert tops == sorted(tops)
    expect(go(page)).to_be_in_viewport(ratio=1)  # what is next is always at hand
    assert page.evaluate(SMALL_TARGETS) == []


def test_two_fingers_zoom(open_page: OpenPage, url: str) -> None:
    page = open_page(url, reduced_motion="reduce", **PHONE)  # it scrolls at once
    choose(page, PICTURE)
    process(page)
    wait_until_seen(page)
    page.locator("#result").scroll_into_view_if_needed()
    box = box_of(page, "#result")
    x, y = box.at(0.5, 0.5)
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *apart: int) -> None:
        points = [{"x": x + side * gap, "y": y} for gap in apart for side in (-1, 1)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 40)
    for gap in (60, 80, 100, 120):
        touch("touchMove", gap)
    touch("touchEnd")
    expect(page.locator("#result")).to_have_class(re.compile("free"))
    after = box_of(page, "#result > .layer")
    assert after.width == pytest.approx(3 * box.width, rel=0.1)


def test_the_footer_names_the_model_and_its_licence(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakePredictor, "name", "RMBG-2.0")
    monkeypatch.setattr(FakePredictor, "licence", "CC-BY-NC-4.0")
    with running_server(FakePredictor()) as url:
        page = open_page(url)
        expect(page.locator("#about")).to_contain_text("Model RMBG-2.0 · licence CC-BY-NC-4.0")
        expect(page.locator("#about strong")).to_contain_text("non-commercial use only")


@pytest.mark.parametrize("prefix", ["", "/tools/cutout"])
def test_the_api_document_works_without_any_other_host(
    open_page: OpenPage, url: str, prefix: str
) -> None:
    page = open_page(url)
    page.route(  # a proxy that takes the prefix away
        f"{url}{prefix}/**",
        lambda route: route.fulfill(
            response=route.fetch(url=route.request.url.replace(prefix, "", 1) if prefix else None)
        ),
    )
    page.goto(f"{url}{prefix}/docs")
    expect(page.locator("#swagger-ui")).to_contain_text("/api/remove-bg")
    page.get_by_text("/livez").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status")).to_contain_text("200")


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-US"), ("dark", "zh-CN")])
def test_axe_finds_nothing(open_page: OpenPage, url: str, scheme: str, locale: str) -> None:
    axe = npm_file("axe-core/axe.min.js")
    page = open_page(url, color_scheme=scheme, locale=locale, bypass_csp=True)

    def violations() -> list[str]:
        page.add_script_tag(path=axe)
        found = page.evaluate("axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] })")
        return [
            f"{rule['id']}: {node['html']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    assert violations() == []
    choose(page, PICTURE, file("notes.txt", b"hello", "text/plain"))
    page.locator("#options summary").click()
    go(page).click()
    expect(tiles(page).nth(0)).to_have_attribute("data-state", "done", timeout=60_000)
    tiles(page).nth(1).locator(".pick").click()
    expect(page.locator("#notice")).to_be_visible()
    assert violations() == []
    tiles(page).nth(0).locator(".pick").click()
    page.locator("#compare").click()
    page.locator("#file summary").click()
    assert violations() == []
    page.keyboard.press("Escape")
    page.locator("#touch-up").click()
    expect(page.locator("#brush-busy")).to_be_hidden()
    assert violations() == []
    page.locator("#region").click()
    expect(page.locator("#brush-tools")).to_be_hidden()
    expect(page.locator("#region-facts")).not_to_be_empty()
    assert violations() == []
    page.keyboard.press("Escape")
    page.locator("#sheet-enlarge").click()
    page.locator(".tile-check").first.check()
    assert violations() == []
    page.locator("#clear").click()
    expect(page.locator("#toast")).to_be_visible()
    page.keyboard.press("?")
    assert violations() == []


def test_the_original_is_seen_while_it_is_held(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, PICTURE)
    process(page)
    before = page.locator("#result .before")
    expect(before).to_be_hidden()
    page.keyboard.down("o")
    expect(before).to_be_visible()
    expect(before).to_have_css("clip-path", "none")
    page.keyboard.up("o")
    expect(before).to_be_hidden()
    page.get_by_role("button", name="Original").hover()
    page.mouse.down()
    expect(before).to_be_visible()
    page.mouse.up()
    expect(before).to_be_hidden()


def test_a_question_mark_shows_the_keys(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(keys).to_contain_text("Hold to see the original")


def test_a_mac_is_told_of_its_own_keys(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url)
    assert page.locator("kbd", has_text="Ctrl").count() > 0
    expect(page.locator("#drop")).to_contain_text("or paste with Ctrl+V")
    page.add_init_script("Object.defineProperty(navigator, 'platform', { value: 'MacIntel' })")
    page.reload()
    expect(page.locator("#drop")).to_contain_text("or paste with ⌘+V")
    expect(page.locator("kbd", has_text="Ctrl")).to_have_count(0)
    choose(page, PICTURE)
    page.locator("#sheet .pick").press("Backspace")  # the key that Macs call Delete
    expect(tiles(page)).to_have_count(0)
    page.keyboard.press("Meta+z")
    expect(tiles(page)).to_have_count(1)


def test_in_forced_colours_the_chosen_brush_is_outlined(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url, forced_colors="active")
    choose(page, PICTURE)
    process(page)
    page.locator("#touch-up").click()
    styles = page.locator(".segments label > span").evaluate_all(
        "spans => spans.map((span) => getComputedStyle(span).outlineStyle)"
    )
    assert styles == ["solid", "none"]


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_shortcuts_of_a_single_character_can_be_switched_off(
    open_page: OpenPage, quick_url: str, locale: str
) -> None:
    page = open_page(quick_url, locale=locale)
    before, keys = page.locator("#result .before"), page.locator("#keys")

    def press_all() -> None:
        page.locator("#touch-up").click()
        page.keyboard.press("e")
        page.keyboard.press("]")

    page.keyboard.press("?")
    single = {"en-US": "Single-key shortcuts", "zh-CN": "启用单键快捷键"}[locale]
    page.get_by_label(single, exact=True).uncheck()
    page.keyboard.press("Escape")
    page.reload()
    choose(page, PICTURE)
    process(page)
    wait_until_seen(page)
    page.keyboard.press("?")
    page.keyboard.down("o")
    press_all()
    expect(keys).to_be_hidden()
    expect(before).to_be_hidden()
    expect(page.locator("input[name=brush][value=keep]")).to_be_checked()
    expect(page.locator("#brush-size")).to_have_value("36")
    page.keyboard.press("Escape")  # not a character
    expect(page.locator("#brush-tools")).to_be_hidden()
    page.locator("#result").press("1")  # while it has the focus only
    expect(page.locator("#zoom-actual")).to_have_text("100%")
    page.locator("#keys-open").click()
    page.get_by_label(single, exact=True).check()
    page.keyboard.press("Escape")
    press_all()
    expect(page.locator("input[name=brush][value=erase]")).to_be_checked()
    expect(page.locator("#brush-size")).to_have_value("42")


def test_the_page_can_be_installed(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    browser = page.context.new_cdp_session(page)
    found = browser.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [each["errorId"] for each in found] == ["in-incognito"]  # as every test is
    assert browser.send("Page.getAppManifest")["errors"] == []


def test_the_installed_page_takes_what_other_apps_share(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.reload()  # from now on the worker answers
    page.evaluate(  # as the system does for a share target
        """async (data) => {
            const form = new FormData();
            const bytes = Uint8Array.from(data);
            form.append("images", new File([bytes], "花.png", { type: "image/png" }));
            await fetch("share", { method: "POST", body: form });
        }""",
        list(picture_bytes()),
    )
    page.goto(f"{url}/?shared")
    expect(page.locator(".tile-name")).to_have_text("花.png")
    expect(page).to_have_url(f"{url}/")
    page.reload()
    expect(page.locator("#formats")).not_to_be_empty()
    expect(tiles(page)).to_have_count(0)


def test_a_share_that_finds_no_room_says_that_nothing_has_come(
    open_page: OpenPage, url: str
) -> None:
    page = open_page(url)
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.reload()
    worker = page.context.service_workers[0]
    worker.evaluate("() => { Cache.prototype.put = () => Promise.reject(new Error('full')); }")
    page.evaluate(
        """async () => {
            const form = new FormData();
            form.append("images", new File(["?"], "a.png", { type: "image/png" }));
            await fetch("share", { method: "POST", body: form });
        }"""
    )
    page.goto(f"{url}/?shared")
    expect(page.locator("#drop-none")).to_have_text("No images were found.")


def test_it_says_where_pictures_go(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    expect(page.locator("footer")).to_contain_text("Images go to this server and nowhere else.")


ROWS = """() => {
    const inUse = [...document.querySelectorAll("#tools > *")].filter((part) => part.offsetHeight);
    const middle = (part) => part.getBoundingClientRect().top + part.offsetHeight / 2;
    return new Set(inUse.map((part) => Math.round(middle(part)))).size;
}"""


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_the_tools_of_a_result_are_in_one_row_at_1280(
    open_page: OpenPage, url: str, locale: str
) -> None:
    portrait = file("vase.jpg", still_life((300, 400)))
    page = open_page(url, locale=locale, viewport={"width": 1280, "height": 800})
    choose(page, file("wide.jpg", still_life((400, 300))), portrait)
    process(page)
    page.locator("#backdrop-file").set_input_files([portrait])  # one background more
    expect(page.locator("#own")).to_be_visible()
    tiles(page).nth(0).locator(".pick").click()
    expect(page.locator("#previews")).not_to_have_class(re.compile("beside"))
    assert page.evaluate(ROWS) == 1
    compare = page.get_by_role("button", name={"en-US": "Compare", "zh-CN": "对比"}[locale])
    expect(compare).to_have_attribute("title", re.compile("."))
    tiles(page).nth(1).locator(".pick").click()
    expect(page.locator("#previews")).to_have_class(re.compile("beside"))
    assert page.evaluate(ROWS) == 1


def test_side_by_side_both_previews_have_one_height(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url, viewport={"width": 1280, "height": 800})
    broken = still_life((300, 400))[:400]
    choose(page, file("vase.jpg", still_life((300, 400))), file("broken.jpg", broken))
    process(page, partly=True)

    tiles(page).nth(0).locator(".pick").click()
    expect(page.locator("#previews")).to_have_class(re.compile("beside"))
    for button in ("#compare", "#touch-up", "#region"):
        page.locator(button).click()
        original, result = boxes_of(page, "#original", "#result")
        assert (original.y, original.height) == (result.y, result.height)
    page.locator("#region-cancel").click()
    page.locator("#enlarge").click()
    expect(page.locator("#original")).to_be_hidden()


def test_what_is_worked_on_has_the_room(open_page: OpenPage, quick_url: str) -> None:
    page = open_page(quick_url, viewport={"width": 1280, "height": 800})
    choose(page, PICTURE)
    process(page)

    page.locator("#touch-up").click()
    original, result = boxes_of(page, "#original", "#result")
    assert result.height > 2 * original.height
    page.locator("#region").click()
    expect(page.locator("#brush-tools")).to_be_hidden()
    original, result = boxes_of(page, "#original", "#result")
    assert original.height > result.height


def test_options_are_at_hand_however_many_images_there_are(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url, viewport={"width": 1280, "height": 800})
    choose(page, *(file(f"{n}.png", picture_bytes(), "image/png") for n in range(40)))
    tiles(page).nth(0).locator(".pick").click()
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#options summary")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_on_a_phone_the_buttons_of_a_region_are_in_one_row(
    open_page: OpenPage, quick_url: str, locale: str
) -> None:
    page = open_page(quick_url, locale=locale, **PHONE)
    choose(page, PICTURE)
    page.locator("#region").tap()
    expect(page.locator("#region-tools button")).to_have_count(3)
    buttons = boxes_of(page, *(f"#region-{name}" for name in ("set", "clear", "cancel")))
    tops = [button.y for button in buttons]
    assert max(tops) - min(tops) < 5


def test_on_a_phone_the_tools_of_brush_and_region_are_above_the_large_button(
    open_page: OpenPage, quick_url: str
) -> None:
    page = open_page(quick_url, reduced_motion="reduce", **PHONE)
    choose(page, PICTURE)
    process(page)
    for begin, last in (("#region", "#region-set"), ("#touch-up", "#brush-done")):
        page.evaluate("scrollTo(0, 0)")
        page.locator(begin).dispatch_event("click")  # where the page is scrolled to
        tools, dock = boxes_of(page, last, ".dock")
        assert tools.y > 0
        assert tools.y + tools.height <= dock.y


@pytest.mark.parametrize(("width", "height"), [(320, 568), (640, 400)])
def test_a_page_at_200_and_400_percent_needs_no_sideways_scrolling(
    open_page: OpenPage, url: str, width: int, height: int
) -> None:
    page = open_page(url, viewport={"width": width, "height": height})
    choose(page, PICTURE, file("notes.txt", b"hello", "text/plain"))
    process(page, partly=True)
    page.get_by_role("button", name="Remove notes.txt").dispatch_event("click")
    toast, dock = boxes_of(page, "#toast", ".dock")
    assert toast.height < 100  # and not a column of letters
    assert toast.y + toast.height <= dock.y
    assert dock.height < height / 4
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_what_hides_itself_hands_the_focus_on(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    choose(page, PICTURE, file("ramp.png", picture_bytes(), "image/png"))
    process(page)
    first = tiles(page).nth(0).locator(".pick")
    first.press("Space")
    page.get_by_role("button", name="Clear selection").press("Enter")
    expect(first).to_be_focused()
    first.press("Delete")
    remaining = tiles(page).nth(0).locator(".pick")
    expect(remaining).to_be_focused()
    page.get_by_role("button", name="Close").press("Enter")
    expect(remaining).to_be_focused()
    remaining.press("Delete")
    expect(page.locator("#files")).to_be_focused()
    page.get_by_role("button", name="Undo", exact=True).press("Enter")
    expect(page.locator("#files")).to_be_focused()
    choose(page, PICTURE)
    process(page)
    tiles(page).nth(1).locator(".pick").press("Enter")
    page.locator("#sheet-enlarge").press("Enter")
    expect(page.locator("#sheet-enlarge")).to_be_focused()
    first.press("Enter")  # opens it, and the sheet is small again
    expect(first).to_be_focused()
    page.locator("#sheet-enlarge").press("Enter")
    first.press("Escape")
    expect(first).to_be_focused()
    expect(page.locator("#result")).to_be_visible()
    page.get_by_role("button", name="Touch up").press("Enter")
    expect(page.locator("#result")).to_be_focused()
    page.locator("#brush-undo").press("Escape")
    expect(page.get_by_role("button", name="Touch up")).to_be_focused()
    page.locator("#copy").focus()
    choose(page, file("ramp.png", picture_bytes(), "image/png"))  # without a result
    expect(page.locator("#result")).to_be_focused()
