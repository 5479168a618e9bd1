"""The JSON Schemas of the events, which are committed for readers without Python."""

import json
from pathlib import Path
from typing import Any

from contracts.event import EVENTS, Event


def schema_of(event: type[Event]) -> dict[str, Any]:
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


def committed(folder: Path) -> dict[str, dict[str, Any]]:
    """The schemas in a folder."""
    return {file.name: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
