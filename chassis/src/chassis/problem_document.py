"""Says in the OpenAPI document which problems an operation answers with, in place of FastAPI's own 422."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_SCHEMA = {
    "title": "Problem",
    "description": "RFC 9457",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body"},
                    "in": {"type": "string", "enum": ["path", "query", "header", "cookie"]},
                    "name": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "additionalProperties": True,
}


def _response(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": _REFERENCE}},
    }


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: _response(status) for status in (400, 401, 402, 403, 404, 409, 413, 422, 429, 503)
}
"""Problem answers for `responses=`: `responses={409: RESPONSES[409]}`. What follows from an operation's
parameters, body and security (400, 401, 403, 413, 422, 503) is documented by itself."""


def document_problems(app: FastAPI) -> None:
    """Make `app.openapi()` show problems with their media type."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            schemas["Problem"] = _SCHEMA
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
            for path in document["paths"].values():
                for operation in path.values():
                    _describe(operation)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for status in _implied(operation):
        responses.setdefault(str(status), RESPONSES[status])
    if "HTTPValidationError" in str(responses.get("422")):
        responses["422"] = RESPONSES[422]


def _implied(operation: dict[str, Any]) -> set[int]:
    implied: set[int] = set()
    if "requestBody" in operation:
        implied |= {400, 413}
    if any(parameter["in"] == "header" for parameter in operation.get("parameters", ())):
        implied.add(400)
    if "security" in operation:
        implied |= {401, 403, 503}
    return implied
