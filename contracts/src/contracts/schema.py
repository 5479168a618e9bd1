"""The JSON Schemas of the events, which are committed for readers without Python, and the check that a new
one is compatible with an old one: old consumers can read new events, new ones old events.

Models grow by optional fields only; any other change needs a new version of the event.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

from contracts.event import EVENTS, Event

Schema = dict[str, Any]
_DOCUMENTATION = {"title", "description", "examples", "$id", "$schema", "default"}


def schema_of(event: type[Event]) -> Schema:
    """The JSON Schema (draft 2020-12) of an event as it is published."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:event:{event.type}:{event.version}",
        **event.model_json_schema(mode="serialization"),
    }


def file_name(event: type[Event]) -> str:
    return f"{event.type}.v{event.version}.json"


def schemas() -> dict[str, str]:
    """Maps file names to schemas, one for each event."""
    return {file_name(event): json.dumps(schema_of(event), indent=2) + "\n" for event in EVENTS.values()}


def committed(folder: Path) -> dict[str, Schema]:
    """The schemas in a folder."""
    return {file.name: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """The changes that break a consumer or publisher of the old schema; empty if both can run side by
    side."""
    return list(_compare("", old, new, old, new))


def _compare(path: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> Iterator[str]:
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    if "properties" in old:
        yield from _compare_object(path, old, new, old_root, new_root)
        return
    for keyword in sorted((old.keys() | new.keys()) - _DOCUMENTATION):
        before, after = old.get(keyword), new.get(keyword)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _compare(f"{path}/{keyword}", before, after, old_root, new_root)
        elif _is_list_of_schemas(before) and _is_list_of_schemas(after) and len(before) == len(after):
            for index, (left, right) in enumerate(zip(before, after, strict=True)):
                yield from _compare(f"{path}/{keyword}/{index}", left, right, old_root, new_root)
        elif before != after:
            yield f"{path or '/'}: {keyword} was {before!r}, is now {after!r}"


def _compare_object(path: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> Iterator[str]:
    before, after = old["properties"], new.get("properties", {})
    for name in before.keys() - after.keys():
        yield f"{path}/{name}: was removed"
    for name in before.keys() & after.keys():
        yield from _compare(f"{path}/{name}", before[name], after[name], old_root, new_root)
    required_before, required_after = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(required_after - required_before):
        yield f"{path}/{name}: is now required"
    for name in sorted((required_before - required_after) & after.keys()):
        yield f"{path}/{name}: is now optional"


def _resolve(schema: Schema, root: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    target: Any = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
    return {**target, **beside}


def _is_list_of_schemas(value: Any) -> TypeGuard[list[Schema]]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
