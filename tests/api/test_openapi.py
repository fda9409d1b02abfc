"""The committed document, the served one and the service's behaviour agree."""

import re
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
from rmbg_service.api.native.request import JsonRemovalRequest
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings
from tests.fakes import FakePredictor, serving
from tests.server import running_server

COMMITTED = Path(__file__).parents[2] / "openapi.yaml"
IMAGES = JsonRemovalRequest.model_fields.keys() - RemovalOptions.model_fields.keys()
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


def test_the_committed_document_has_no_aliases() -> None:
    events = yaml.parse(COMMITTED.read_text("utf-8"))
    assert not any(isinstance(event, yaml.AliasEvent) for event in events)


@pytest.mark.parametrize("keys", [{}, {"api_keys": "one"}])
def test_a_key_is_required_if_keys_are_set(keys: dict[str, Any]) -> None:
    app = create_app(Settings(**keys), FakePredictor())
    for path in ("/api/remove-bg", "/v1.0/removebg", "/api/remove"):
        security = app.openapi()["paths"][path]["post"]["security"]
        assert security[:2] == [{"APIKeyHeader": []}, {"HTTPBearer": []}]
        assert security[2:] == ([] if keys else [{}])


def test_of_closed_endpoints_only_health_does_without_a_key() -> None:
    closed: dict[str, Any] = {"api_keys": "one", "open_endpoints": "none"}
    app = create_app(Settings(**closed), FakePredictor())
    for path in ("/health", "/metrics", "/api/info"):
        assert ({} in app.openapi()["paths"][path]["get"]["security"]) is (path == "/health")


DOCUMENT = yaml.safe_load(COMMITTED.read_text("utf-8"))
OPERATIONS = [operation for item in DOCUMENT["paths"].values() for operation in item.values()]


async def test_closed_endpoints_declare_what_they_answer_without_a_key() -> None:
    async with serving(api_keys="one", open_endpoints="none") as (client, _):
        document = client.app.openapi()
        for path in ("/metrics", "/api/info"):
            answer = await client.get(path)
            declared = document["paths"][path]["get"]["responses"][str(answer.status_code)]
            assert answer.headers["content-type"] in declared["content"]
            assert all(name in answer.headers for name in declared["headers"])
    for path in ("/health", "/metrics", "/api/info"):
        assert "401" not in DOCUMENT["paths"][path]["get"]["responses"]


def test_the_document_describes_all_forms_options_and_answers() -> None:
    operation = DOCUMENT["paths"]["/api/remove-bg"]["post"]
    forms = operation["requestBody"]["content"]
    assert list(forms) == ["multipart/form-data", "application/octet-stream", "application/json"]
    queries = {p["name"] for p in operation["parameters"] if p["in"] == "query"}
    for form in ("FormRemovalRequest", "JsonRemovalRequest"):
        schema = DOCUMENT["components"]["schemas"][form]
        assert schema["properties"].keys() == RemovalOptions.model_fields.keys() | IMAGES
        assert (next(iter(schema["properties"])), schema["required"]) == ("image", ["image"])
    assert queries == RemovalOptions.model_fields.keys()
    statuses = {"200", "400", "401", "408", "413", "415", "422", "429", "500", "503", "504"}
    assert operation["responses"].keys() == statuses
    assert "Retry-After" in operation["responses"]["429"]["headers"]
    schemes = {name for form in operation["security"] for name in form}
    assert schemes == {"APIKeyHeader", "HTTPBearer"}


def test_operations_have_the_names_of_functions() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS]
    assert len(set(ids)) == len(ids)
    for name in ids:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert not re.search("api|_(get|post)$", name), "the method and the path are not names"
    for operation in OPERATIONS:
        assert 10 < len(operation["summary"]) < 90
        assert operation["responses"]["200"]["description"] != "Successful Response"


def test_a_request_has_nothing_that_generators_stumble_over() -> None:
    """No alternatives, no types with a wildcard, and no defaults, which clients would send."""
    for operation in OPERATIONS:
        bodies = operation.get("requestBody", {}).get("content", {})
        assert not any("*" in media_type for media_type in bodies)
        parameters = [parameter["schema"] for parameter in operation.get("parameters", [])]
        for schema in [*parameters, *(body["schema"] for body in bodies.values())]:
            for part in parts(schema):
                assert not {"oneOf", "anyOf", "allOf", "default"} & part.keys()


def test_every_schema_of_an_object_is_a_component() -> None:
    for operation in OPERATIONS:
        described = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (message.get("content", {}) for message in described):
            for body in content.values():
                assert "properties" not in body["schema"]


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema, those of its properties, and what they refer to."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield schema
    for member in schema.get("properties", {}).values():
        yield from parts(member)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server(FakePredictor()) as address:
        yield address


# Every operation of the document; wrong input only where there is input.
CASES = [
    (path, method, mode)
    for path, item in DOCUMENT["paths"].items()
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
        max_examples=60 if method == "post" else 5,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(base_url=url, checks=CONFORMANCE)

    check()
