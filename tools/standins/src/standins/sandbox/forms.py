"""Stripe's form encoding (`metadata[order_id]=…`), read strictly, so that malformed calls fail here first."""

import re
from collections.abc import Collection
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl

from standins.sandbox.errors import Refusal

MOST_FIELDS = 200
KEY = re.compile(r"([A-Za-z0-9_]+)((?:\[[^\[\]]*\])*)")
TRUTH = {"true": True, "false": False}

Form = dict[str, Any]


def read_form(body: bytes) -> list[tuple[str, str]]:
    """The fields in the order sent. Raises Refusal on bytes that are no form."""
    try:
        return parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MOST_FIELDS
        )
    except ValueError as problem:
        message = f"Invalid form body: {problem}. Send application/x-www-form-urlencoded UTF-8."
        raise Refusal(message) from problem


def nest(fields: list[tuple[str, str]]) -> Form:
    """`a[b]=1` becomes {"a": {"b": "1"}}; lists stay mappings by index."""
    form: Form = {}
    for name, value in fields:
        if "[" not in name:
            _place(form, [name], value)
            continue
        match = KEY.fullmatch(name)
        if match is None:
            raise Refusal(f"Invalid parameter name: {name}", param=name)
        _place(form, [match[1], *match[2][1:-1].split("][")], value)
    return form


def _place(form: Form, path: list[str], value: str) -> None:
    for step in path[:-1]:
        form = form.setdefault(step, {})
        if not isinstance(form, dict):
            raise Refusal(f"Invalid parameter: {step} is given both as a value and as an object", param=step)
    if path[-1] in form:
        raise Refusal(f"Invalid parameter: {path[-1]} is given twice", param=path[-1])
    form[path[-1]] = value


def fingerprint(path: str, fields: list[tuple[str, str]]) -> str:
    """The same for the same call, whatever the order of its fields."""
    return blake2b(repr((path, sorted(fields))).encode(), digest_size=12).hexdigest()


def only(form: Form, known: Collection[str]) -> None:
    for name in form:
        if name not in known:
            message = f"Received unknown parameter: {name} (the sandbox knows {', '.join(sorted(known))})"
            raise Refusal(message, code="parameter_unknown", param=name)


def text(form: Form, name: str, *, required: bool = False) -> str | None:
    value = form.get(name)
    if isinstance(value, dict):
        raise Refusal(f"Invalid string: {name}", param=name)
    if not value and required:
        raise Refusal(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return value or None


def flag(form: Form, name: str) -> bool:
    value = text(form, name) or "false"
    if value not in TRUTH:
        raise Refusal(f"Invalid boolean: {value}", param=name)
    return TRUTH[value]


def amount(form: Form, name: str) -> int | None:
    """A positive number of minor units."""
    value = text(form, name)
    if value is None:
        return None
    if not re.fullmatch(r"-?\d{1,15}", value, re.ASCII):
        raise Refusal(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    if int(value) < 1:
        message = "This value must be greater than or equal to 1."
        raise Refusal(message, code="parameter_invalid_integer", param=name)
    return int(value)


def choice(form: Form, name: str, allowed: tuple[str, ...]) -> str | None:
    value = text(form, name)
    if value is not None and value not in allowed:
        raise Refusal(f"Invalid {name}: must be one of {', '.join(allowed)}", param=name)
    return value


def metadata(form: Form) -> dict[str, str]:
    """Stripe's limits: 50 keys, 40 characters a key, 500 a value."""
    given = form.get("metadata") or {}
    if not isinstance(given, dict) or any(isinstance(value, dict) for value in given.values()):
        raise Refusal("Invalid metadata: must be a flat hash of strings", param="metadata")
    if len(given) > 50 or any(len(key) > 40 or len(value) > 500 for key, value in given.items()):
        message = "Metadata can have up to 50 keys, of up to 40 characters, with values of up to 500."
        raise Refusal(message, param="metadata")
    return {key: value for key, value in given.items() if value}


def expand(form: Form) -> tuple[str, ...]:
    given = form.get("expand") or {}
    return tuple(given.values()) if isinstance(given, dict) else (given,)
