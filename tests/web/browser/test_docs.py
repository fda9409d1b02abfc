"""/docs, where every form of the request can be tried as it stands."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.fakes import FakePredictor, picture_bytes
from tests.server import running_server
from tests.web.browser.conftest import OpenPage

FILE = {"name": "photo.png", "mimeType": "image/png", "buffer": picture_bytes((64, 48))}
FORMS = ["multipart/form-data", "application/octet-stream", "application/json"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server(FakePredictor()) as address:
        yield address


def ready(page: Page, operation: str) -> Locator:
    """An operation, ready to be tried."""
    found = page.locator(f"[id^='operations-'][id$='-{operation}']")
    found.locator(".opblock-summary-control").click()
    found.get_by_role("button", name="Try it out").click()
    return found


@pytest.fixture
def removal(open_page: OpenPage, url: str) -> Locator:
    return ready(open_page(f"{url}/docs"), "remove_background")


def form(operation: Locator) -> Locator:
    return operation.get_by_label("Request content type")


def try_it(operation: Locator) -> Locator:
    """The picture that comes back."""
    operation.get_by_role("button", name="Execute").click()
    status = operation.locator(".live-responses-table tbody .response-col_status")
    expect(status).to_have_text("200")
    return operation.locator(".live-responses-table img")


def size(picture: Locator) -> tuple[int, int]:
    expect(picture).to_have_js_property("complete", True)
    width, height = picture.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    return width, height


def test_the_file_form_comes_first_and_its_fields_are_empty(removal: Locator) -> None:
    assert form(removal).locator("option").all_inner_texts() == FORMS
    expect(form(removal)).to_have_value(FORMS[0])
    fields = removal.locator(".opblock-section").locator(
        "input, textarea, select:not(.content-type)"
    )
    assert fields.count() > 40
    filled = fields.evaluate_all("all => all.map((field) => field.value).filter(Boolean)")
    assert [value for value in filled if value not in FORMS] == []
    top = removal.locator("input[type=file]").first.bounding_box()
    query = removal.locator(".parameters-container").bounding_box()
    assert top is not None
    assert query is not None
    assert top["y"] < query["y"], "the image comes before the options of the query"


def test_a_file_alone_succeeds(removal: Locator) -> None:
    removal.locator("input[type=file]").first.set_input_files(FILE)  # type: ignore[arg-type]
    picture = try_it(removal)
    assert size(picture) == (64, 48)
    command = removal.locator(".curl-command").inner_text()
    assert "accept: image/png" in command
    assert command.count("-F ") == 1, "what is empty is not sent"


def test_a_file_with_an_option_succeeds(removal: Locator) -> None:
    removal.locator("input[type=file]").first.set_input_files(FILE)  # type: ignore[arg-type]
    removal.locator("tr[data-property-name=max_side] input").first.fill("32")
    removal.locator("tr[data-property-name=format] select").select_option("jpg")
    assert size(try_it(removal)) == (32, 24)
    headers = removal.locator(".live-responses-table tbody .response-col_description")
    expect(headers).to_contain_text("content-type: image/jpeg")


def test_a_raw_body_and_then_json_succeed(removal: Locator) -> None:
    form(removal).select_option("application/octet-stream")
    removal.locator("input[type=file]").set_input_files(FILE)  # type: ignore[arg-type]
    assert size(try_it(removal)) == (64, 48)
    form(removal).select_option("application/json")
    expect(removal.locator("textarea").first).to_contain_text('"image": "iVBOR')
    removal.get_by_role("button", name="Clear").click()
    assert size(try_it(removal)) == (64, 64), "the example is a picture"


def test_the_json_example_succeeds(removal: Locator) -> None:
    form(removal).select_option("application/json")
    assert size(try_it(removal)) == (64, 64)


@pytest.mark.parametrize("name", ["removebg", "rembg_file"])
def test_a_file_alone_succeeds_in_the_other_apis(open_page: OpenPage, url: str, name: str) -> None:
    operation = ready(open_page(f"{url}/docs"), name)
    operation.locator("input[type=file]").first.set_input_files(FILE)  # type: ignore[arg-type]
    assert size(try_it(operation)) == (64, 48)
