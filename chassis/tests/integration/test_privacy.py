"""No personal data is logged: not with errors, not at any level, not by any library."""

import json
import subprocess
import sys

import pytest
from pydantic import BaseModel, EmailStr, ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from chassis.storage.database import connect
from chassis.telemetry.privacy import reason, redacted, safe_traceback

JWT = ".".join(("eyJhbGciOiJFUzI1NiJ9", "eyJzdWIiOiJhZGEifQ", "c2lnbmF0dXJl"))
KEY = "_".join(("sk", "test", "0123456789abcdef"))


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("mail to ada+shop@example.co.uk failed", "mail to [address] failed"),
        ("/v1/users?email=ada%40example.com", "/v1/users?email=[address]"),
        (f"/v1/orders?jwt={JWT}&x=1", "/v1/orders?jwt=[token]&x=1"),
        ("Authorization: bearer 0123456789abcdefgh", "Authorization: [token]"),
        ("Authorization: Basic b3BlcmF0b3I6aHVudGVyMg==", "Authorization: [token]"),
        ("amqp://order:hun%2Fter@10.0.0.1:5672/", "amqp://[login]@10.0.0.1:5672/"),
        ("postgresql://order:hunter@postgres/order", "postgresql://[login]@postgres/order"),
        (f"key {KEY}.", "key [key]."),
        ("card 4242424242424242", "card [card]"),
        ("card 4242 4242 4242 4242, amex 378282246310005", "card [card], amex [card]"),
    ],
)
def test_personal_data_is_replaced_by_its_kind(written: str, left: str) -> None:
    assert redacted(written) == left


@pytest.mark.parametrize(
    "harmless",
    [
        "order 01a1fc97-4242-4242-4242-424242424242 paid",
        "trace 42424242424242424242424242424242",
        "card-like 4242424242424243",
        "since 1763702400000, total 99999999",
        "ada@desk did it; http://order:8000/v1/orders; a bearer token is needed",
    ],
)
def test_other_texts_are_unchanged(harmless: str) -> None:
    assert redacted(harmless) == harmless


class Form(BaseModel):
    email: EmailStr
    age: int


def test_the_reason_of_an_invalid_input_does_not_quote_it() -> None:
    with pytest.raises(ValidationError) as refused:
        Form.model_validate_json('{"email": "planted@", "age": "planted"}')
    assert "planted" not in reason(refused.value)
    assert reason(refused.value).startswith("email: ")


async def test_the_reason_of_a_refusing_database_names_the_constraint_and_quotes_no_row(
    postgres: str,
) -> None:
    engine = connect(postgres, pool_size=2, statement_timeout=10)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE person (email text PRIMARY KEY, age int)"))

    async def refused(statement: str, **values: object) -> BaseException:
        with pytest.raises(DBAPIError) as error:
            async with engine.begin() as connection:
                await connection.execute(text(statement), values)
        return error.value

    insert = "INSERT INTO person (email, age) VALUES (:email, :age)"
    async with engine.begin() as connection:
        await connection.execute(text(insert), {"email": "planted", "age": 1})
    errors = [
        await refused(insert, email="planted", age=1),
        await refused(insert, email=1, age="planted"),
        await refused("SELECT CAST(CAST(:email AS text) AS uuid)", email="planted"),
    ]
    assert reason(errors[0]) == "UniqueViolationError: person_pkey"
    for error in errors:
        assert "planted" not in reason(error) + safe_traceback(error)
    assert "person" in reason(await refused("SELECT 1 FROM no_such_person")), "a bug shows what it is about"
    await engine.dispose()


def test_the_traceback_has_the_errors_cause_and_its_place() -> None:
    try:
        try:
            raise ValueError(f"no {JWT}")
        except ValueError as error:
            raise ExceptionGroup("several", [KeyError("ada@example.com"), RuntimeError("plain")]) from error
    except ExceptionGroup as error:
        traceback_ = safe_traceback(error)
    assert traceback_.index("ValueError: no [token]") < traceback_.index("ExceptionGroup: several")
    assert "KeyError: '[address]'" in traceback_
    assert "RuntimeError: plain" in traceback_
    assert traceback_.count("in test_the_traceback_has_the_errors_cause_and_its_place") == 2


_LOGGING = """
import asyncio, logging, structlog
from chassis.telemetry.logs import configure_logging
configure_logging("order", "debug")
log = structlog.get_logger()
try:
    raise ValueError("ada@example.com")
except ValueError:
    log.exception("crashed", path="/v1/ada@example.com")
    logging.getLogger("library").exception('said "%s"', "ada@example.com")
log.debug("seen", card="4242 4242 4242 4242")
logging.getLogger("library").error("not text: %s", "\\udc80")
log.info("mail to\\nada@example.com", number=4242424242424242, cards=["x\\n4242424242424242"], key="\\ud800")
"""


def test_every_line_is_json_without_anything_private() -> None:
    written = _run(_LOGGING)
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["event"] for line in lines] == [
        *("crashed", 'said "[address]"', "seen", "not text: ?", "mail to\n[address]")
    ]
    assert {line["service"] for line in lines} == {"order"}
    assert [line["level"] for line in lines] == ["error", "error", "debug", "error", "info"]
    assert "ada" not in written
    assert "4242" not in written
    assert all("ValueError: [address]" in line["exception"] for line in lines[:2])
    assert (lines[-1]["number"], lines[-1]["cards"]) == ("[card]", ["x\n[card]"])


_LIBRARIES = """
import logging
import aio_pika, aiohttp, alembic, httpx, sqlalchemy, uvicorn
from chassis.telemetry.logs import configure_logging
configure_logging("order", "debug")
loggers = map(logging.getLogger, logging.root.manager.loggerDict)
print([logger.name for logger in loggers if logger.isEnabledFor(logging.INFO)])
with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(500))) as http:
    http.get("http://product/v1/products?code=planted")
"""


def test_no_library_logs_what_it_sends_even_when_we_log_everything() -> None:
    assert _run(_LIBRARIES) == "[]\n"


def _run(script: str) -> str:
    """The output of a process of its own, because logging is configured once per process."""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stderr == ""
    return ended.stdout
