"""Holds a configuration against kong-3.9.yml, knowing nothing of how the stand-in reads it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_SCHEMA = yaml.safe_load((Path(__file__).parent / "kong-3.9.yml").read_text())
_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "map": dict,
    "record": dict,
}


def complaints(document: dict[str, Any]) -> list[str]:
    """What Kong 3.9 would refuse, and what it would fill in with a default that is a trap."""
    return list(_record(document, "file", ""))


def _record(given: dict[str, Any], kind: str, place: str) -> Iterator[str]:
    if kind == "plugin":
        yield from _plugin(given, place)
        return
    yield from _fields(given, _SCHEMA[kind], place)


def _plugin(given: dict[str, Any], place: str) -> Iterator[str]:
    place = f"{place}.{given.get('name')}"
    fields = dict(_SCHEMA["plugin"])
    fields["config"] = fields["config"] | {"of": given.get("name")}
    if given.get("name") not in _SCHEMA:
        yield f"{place}: no such plugin"
        return
    yield from _fields(given, fields, place)
    limits = given.get("config", {})
    if limits.get("policy") == "redis" and "redis" not in limits:
        yield f"{place}: policy redis without a redis"


def _fields(given: dict[str, Any], fields: dict[str, Any], place: str) -> Iterator[str]:
    for name in given.keys() - fields.keys():
        yield f"{place}.{name}: no such field"
    for name, field in fields.items():
        if name in given:
            yield from _value(given[name], field, f"{place}.{name}")
        elif "must" in field:
            yield f"{place}.{name}: missing, and {field['must']}"


def _value(given: Any, field: dict[str, Any], place: str) -> Iterator[str]:
    expected = _TYPES[field["type"]]
    if not isinstance(given, expected) or (isinstance(given, bool) and expected is not bool):
        yield f"{place}: {given!r} is no {field['type']}"
        return
    if field["type"] == "record":
        yield from _record(given, field["of"], place)
    if field["type"] == "array":
        for number, element in enumerate(given):
            yield from _value(element, field["elements"], f"{place}.{number}")
    if field["type"] == "map" and not all(isinstance(value, str) and value for value in given.values()):
        yield f"{place}: a value is no text"
    if not _allowed(given, field):
        yield f"{place}: {given!r} is not allowed"


def _allowed(given: Any, field: dict[str, Any]) -> bool:
    return (
        ("one_of" not in field or given in field["one_of"])
        and ("between" not in field or field["between"][0] <= given <= field["between"][1])
        and ("above" not in field or given > field["above"])
        and ("match" not in field or re.fullmatch(field["match"], given) is not None)
    )
