"""Adds to FastAPI's OpenAPI document the problem responses and bearer tokens."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

_SCHEMA = {
    "title": "Problem",
    "description": "An error as of RFC 9457. A kind of problem may have members of its own.",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Names the kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/InvalidPart"}},
    },
}
_INVALID_PART = {
    "title": "InvalidPart",
    "description": "What is wrong with a part of the body (`pointer`) or a parameter (`in`, `name`).",
    "type": "object",
    "required": ["detail"],
    "properties": {
        "pointer": {"type": "string", "format": "json-pointer"},
        "in": {"type": "string", "enum": ["path", "query", "header", "cookie"]},
        "name": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
_NAMES = {413: "Content Too Large", 422: "Unprocessable Content"}


def phrase(status: int) -> str:
    """The status' name in RFC 9110; Python before 3.13 has older names for some."""
    return _NAMES.get(status) or HTTPStatus(status).phrase


_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": phrase(status), "content": _CONTENT}
    for status in (400, 401, 402, 403, 404, 409, 410, 412, 413, 422, 429, 503)
}
"""Problem responses for a route: `responses={409: RESPONSES[409]}`. Those that follow from a route's
parameters, body and security (400, 401, 403, 413, 503) are added to the document automatically, and 422 to
all routes, since each refuses what it would ignore."""


def complete(app: FastAPI) -> None:
    """Make `app.openapi()` describe problem responses, instead of FastAPI's own 422."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:  # FastAPI caches the document
            schemas.update(Problem=_SCHEMA, InvalidPart=_INVALID_PART)
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            _complete(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    if "securitySchemes" in document["components"]:
        document["components"]["securitySchemes"]["bearer"] = _BEARER
    for operations in document["paths"].values():
        for operation in operations.values():
            if "security" in operation:
                operation["security"].append({"bearer": []})
            responses = operation["responses"]
            if "application/json" in responses.get("422", {}).get("content", {}):
                responses["422"] = RESPONSES[422]
            for status in sorted(_implied(operation)):
                responses.setdefault(str(status), RESPONSES[status])


def _implied(operation: dict[str, Any]) -> set[int]:
    implied = {422}
    if "requestBody" in operation:
        implied |= {400, 413}
    if any(parameter["in"] == "header" for parameter in operation.get("parameters", ())):
        implied.add(400)
    if "security" in operation:
        implied |= {401, 403, 503}
    return implied
