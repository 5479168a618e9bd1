"""What auth publishes is as its committed schema says."""

from pathlib import Path

from jsonschema import Draft202012Validator

from contracts import EVENTS
from contracts.schema import committed, file_name

from ..conftest import Auth

SCHEMAS = committed(Path(__file__).parents[3] / "contracts/schemas")


async def test_the_events_of_an_account_are_as_their_schemas_say(auth: Auth) -> None:
    await auth.register()
    guest = (await auth.http.post("/v1/guests")).json()["access_token"]
    assert (await auth.log_in(data={"guest_token": guest})).status_code == 200

    events = await auth.published()

    assert [event_type for event_type, _ in events] == ["user.registered", "guest.merged"]
    names = {event.type: file_name(event) for event in EVENTS.values()}
    for event_type, data in events:
        Draft202012Validator(SCHEMAS[names[event_type]]).validate(data)
