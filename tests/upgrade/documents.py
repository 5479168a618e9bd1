"""Documents from the JSON Schemas of the events: the few keywords that those use, and no other."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Schema = dict[str, Any]
Strategy = st.SearchStrategy[Any]

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_FORMATS: dict[str, Strategy] = {
    "uuid": st.uuids().map(str),
    "date-time": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
}


def examples(schema: Schema, count: int) -> list[Any]:
    """So many documents that are valid under the schema, always the same ones."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(instances(schema, schema))
    def collect(document: Any) -> None:
        found.append(document)

    collect()
    return found


def instances(schema: Schema, root: Schema) -> Strategy:
    """What is valid under the schema."""
    if "$ref" in schema:
        return instances(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return st.one_of([instances(one, root) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _BY_TYPE[schema["type"]](schema, root)


def _object(schema: Schema, root: Schema) -> Strategy:
    members = {name: instances(member, root) for name, member in schema["properties"].items()}
    required = {name: members.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(required, optional=members)


def _array(schema: Schema, root: Schema) -> Strategy:
    least = schema.get("minItems", 0)
    return st.lists(instances(schema["items"], root), min_size=least, max_size=least + 2)


def _string(schema: Schema, _: Schema) -> Strategy:
    if "format" in schema:
        return _FORMATS[schema["format"]]
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    shortest = schema.get("minLength", 0)
    longest = schema.get("maxLength", 40)
    return _TEXT.filter(lambda text: shortest <= len(text) <= longest)


def _integer(schema: Schema, _: Schema) -> Strategy:
    return st.integers(schema.get("minimum", -(2**31)), schema.get("maximum", 2**40))


_BY_TYPE: dict[str, Callable[[Schema, Schema], Strategy]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "boolean": lambda *_: st.booleans(),
    "null": lambda *_: st.none(),
}
