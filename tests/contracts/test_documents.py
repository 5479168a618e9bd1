import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from contracts import EVENTS
from contracts.schema import committed, file_name
from shop import documents
from shop.services import PARTICIPANTS

ROOT = Path(__file__).parents[2]


def test_the_committed_documents_match_the_code() -> None:
    assert documents.stale(ROOT, PARTICIPANTS) == [], "run `shop generate`"


def test_no_event_has_changed_incompatibly() -> None:
    assert documents.incompatible(ROOT) == [], "give the event a new version"


def test_a_document_that_differs_is_found(tmp_path: Path) -> None:
    documents.write(tmp_path, PARTICIPANTS)
    (tmp_path / "SAGA.md").write_text("something else")
    (tmp_path / "contracts/schemas/order.paid.v1.json").unlink()
    (tmp_path / "contracts/schemas/order.lost.v1.json").write_text("{}")
    assert documents.stale(tmp_path, PARTICIPANTS) == [
        "SAGA.md",
        "contracts/schemas/order.lost.v1.json",
        "contracts/schemas/order.paid.v1.json",
    ]


def test_a_schema_that_would_break_its_readers_is_not_written(tmp_path: Path) -> None:
    documents.write(tmp_path, PARTICIPANTS)
    file = tmp_path / "contracts/schemas/order.paid.v1.json"
    schema = json.loads(file.read_text())
    schema["properties"]["voucher"] = {"type": "string"}
    file.write_text(json.dumps(schema))
    with pytest.raises(Exception, match="voucher: was removed"):
        documents.write(tmp_path, PARTICIPANTS)


def test_every_committed_schema_is_a_json_schema() -> None:
    for schema in committed(ROOT / "contracts/schemas").values():
        Draft202012Validator.check_schema(schema)


def test_every_event_is_published_by_the_service_that_it_names() -> None:
    said = [(key, p.name) for p in PARTICIPANTS for key in p.published_keys()]
    nudged = [("saga.nudged", "order"), ("saga.nudged", "product")]  # and the operator, who consumes nothing
    others = [(event.type, event.publisher) for event in EVENTS.values() if event.publisher != "operator"]
    assert sorted(said) == sorted([*others, *nudged])


def test_the_asyncapi_document_refers_to_what_is_there() -> None:
    document = yaml.safe_load((ROOT / "contracts/asyncapi.yaml").read_text())
    assert document["asyncapi"] == "3.0.0"
    for operation in document["operations"].values():
        channel = operation["channel"]["$ref"].removeprefix("#/channels/")
        assert channel in document["channels"]
    payloads = {m["payload"]["$ref"] for m in document["components"]["messages"].values()}
    assert payloads == {f"schemas/{file_name(event)}" for event in EVENTS.values()}
    assert all((ROOT / "contracts" / payload).exists() for payload in payloads)
