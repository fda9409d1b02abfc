"""Schemas of the OpenAPI document, in the form that client generators and Swagger UI can use.

Generated clients send every `default` that a request has, and Swagger UI fills it in, so that what
a caller has not chosen would override a header or contradict the same option elsewhere. A request's
schemas therefore have no defaults: the descriptions state them.
"""

import json
from typing import Any, TypeAlias

from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel

Schema: TypeAlias = dict[str, Any]
Schemas: TypeAlias = dict[str, Schema]
"""Schemas by the name of a property or a component."""

BINARY: Schema = {"type": "string", "format": "binary"}
"""The schema of a file."""
EXAMPLE_IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABABAMAAABYR2ztAAAAElBMVEX5jiPwjCiHcmcoWqAoWp8f"
    "WKU2wegNAAABkElEQVR42t2Vu07DQBBFZwwFQQq7k3Qg5dkDwf//BwjEBwSTNNDEM04KSIGHIra1"
    "DyeWKChw6T2+c3f2ehZTOP0k8B8BpJMAkXKAnPvrAFCQGGkHLG0yAWQq2hXIPLIQ5PkgZW3enl03"
    "9vbLrNcD6PVYBuYrNkn9rLJHZUbxLtA8NW9x82IjgDaONbukEEDzbB3vV41EDRhXAAAbFzWQZNZr"
    "4DdbD8D+yj8Cs/YVDNvg0GqbSV0hPGb1FJCLEDDVPiqFkXQERqMFZHIAEhsRuaeQ/SK02gXYQ2sO"
    "QC5HxRMAAERsKfH2p7+etnQScOJ2su3b0v1xbHSaINLhAacuMO3YRSlxKwcuUMQKiuxlMs6DF3st"
    "TLhejPxdRDXQjz1T4FKH7Id2HdTA++CwaBFYqAdZDQQ1dM6Bgu7GLrC9lTAP/KCuwCoKjO4WTRFN"
    "7kycKB5OKkK3KUs8JwFmn+/7C1C5vBl/tE1aSVJkBprNDbfPai5TfoUZKR8Z5logp1CyyrHrQBkZ"
    "VI7fFwDK//Ni/QHlTYsbSaVP+AAAAABJRU5ErkJggg=="
)
"""An image file as base64: an orange disc on blue, 64 x 64 px."""
RETRY_AFTER: Schemas = {
    "Retry-After": {
        "schema": {"type": "integer", "minimum": 1},
        "description": "Seconds after which to try again.",
    }
}
"""The header of a response that is worth another attempt."""
_REF = "#/components/schemas/{model}"


def ref(name: str) -> Schema:
    """A reference to the component `name`."""
    return {"$ref": _REF.format(model=name)}


def model_components(model: type[BaseModel]) -> Schemas:
    """The components of `model` and of the models that it refers to."""
    schema = jsonable_encoder(model.model_json_schema(ref_template=_REF), exclude_none=True)
    return {**schema.pop("$defs", {}), model.__name__: schema}


def error(
    model: type[BaseModel],
    description: str,
    headers: Schemas | None = None,
    media_type: str = "application/json",
) -> dict[str, Any]:
    """An error whose body is a `model`, one of the components.

    FastAPI would make a validator for each error of each route if it was given the model.
    """
    content = {media_type: {"schema": ref(model.__name__)}}
    return {"description": description, "headers": headers or {}, "content": content}


def request_properties(model: type[BaseModel], prefix: str) -> tuple[Schemas, Schemas]:
    """The fields of `model` as properties of a request, and the components they refer to.

    Those are the lists of names: one component each, `prefix` and the name of the field, however
    many bodies and queries have the field.
    """
    properties: Schemas = {}
    components: Schemas = {}
    declared: Schemas = model.model_json_schema(ref_template=_REF)["properties"]
    for name in declared:
        schema = _without_null(declared[name])
        schema.pop("title", None)
        default = schema.pop("default", None)
        if default is not None:
            shown = default if isinstance(default, str) else json.dumps(default)
            schema["description"] += f" Default: `{shown}`."
        if "enum" in schema:
            component = prefix + name.title().replace("_", "")
            components[component], schema = schema, ref(component)
        properties[name] = schema
    return properties, components


def query_parameters(properties: Schemas, components: Schemas) -> list[Schema]:
    """Properties of a request, which may refer to `components`, as parameters of a query."""
    parameters = []
    for name, schema in properties.items():
        described = components.get(schema.get("$ref", "").rpartition("/")[2], schema)
        parameters.append(
            {
                "name": name,
                "in": "query",
                "required": False,
                "schema": {key: schema[key] for key in schema if key != "description"},
                "description": described["description"],
            }
        )
    return parameters


def _without_null(schema: Schema) -> Schema:
    """`schema` without the alternative `null`: a caller leaves out what it does not want."""
    choices: list[Schema] = schema.get("anyOf", [])
    choices = [choice for choice in choices if choice != {"type": "null"}]
    if len(choices) != 1:
        return dict(schema)
    return choices[0] | {key: schema[key] for key in schema if key != "anyOf"}
