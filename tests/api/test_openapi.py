"""The committed document, the served one and the service's behaviour agree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rmbg_service.api.app import create_app
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings
from tests.fakes import FakePredictor
from tests.server import running_server

COMMITTED = Path(__file__).parents[2] / "openapi.yaml"
CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def test_the_committed_document_is_the_served_one() -> None:
    served = create_app(Settings(), FakePredictor()).openapi()
    assert yaml.safe_load(COMMITTED.read_text("utf-8")) == served, "run `make openapi`"


def test_the_document_describes_all_forms_options_and_answers() -> None:
    operation = yaml.safe_load(COMMITTED.read_text("utf-8"))["paths"]["/api/remove-bg"]["post"]
    forms = operation["requestBody"]["content"]
    assert {"application/json", "multipart/form-data", "image/*"} <= forms.keys()
    queries = {p["name"] for p in operation["parameters"] if p["in"] == "query"}
    for option in RemovalOptions.model_fields:
        assert option in forms["application/json"]["schema"]["properties"]
        assert option in forms["multipart/form-data"]["schema"]["properties"]
        assert option in queries
    statuses = {"200", "400", "401", "408", "413", "415", "422", "429", "500", "503", "504"}
    assert operation["responses"].keys() == statuses
    assert "Retry-After" in operation["responses"]["429"]["headers"]
    schemes = {name for form in operation["security"] for name in form}
    assert schemes == {"APIKeyHeader", "HTTPBearer"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server(FakePredictor()) as address:
        yield address


# Every operation of the document; wrong input only where there is input.
CASES = [
    (path, method, mode)
    for path, item in yaml.safe_load(COMMITTED.read_text("utf-8"))["paths"].items()
    for method, operation in item.items()
    for mode in schemathesis.GenerationMode
    if mode is schemathesis.GenerationMode.POSITIVE or "requestBody" in operation
]


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_no_request_finds_a_5xx_or_an_undeclared_answer(
    url: str, path: str, method: str, mode: schemathesis.GenerationMode
) -> None:
    document = httpx.get(f"{url}/openapi.json").json()
    if mode is schemathesis.GenerationMode.NEGATIVE:
        # Of files there are no wrong values, and schemathesis cannot invent any.
        content = document["paths"][path][method]["requestBody"]["content"]
        for media_type in content.keys() - {"application/json"}:
            del content[media_type]
    operation: Any = schemathesis.openapi.from_dict(document)[path][method]

    @settings(
        max_examples=100 if method == "post" else 5,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(base_url=url, checks=CONFORMANCE)

    check()
