"""JSON logs that carry the subject and the trace, bound once per message or request."""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from chassis.telemetry.privacy import redacted, story

_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')  # of JSON: the letter in it is no letter of a word
_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


def configure_logging(service: str, level: str) -> None:
    """One JSON object a line on standard output: time, level, service, event, bound ids."""
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.ExceptionRenderer(_story),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(file=sys.stdout.buffer),
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Line(service))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


class _Line(logging.Formatter):
    """What libraries log, as a line like ours."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "event": record.getMessage().encode(errors="replace").decode(),
            "service": self._service,
            "logger": record.name,
            "level": record.levelname.lower(),
        }
        if record.exc_info:
            line["exception"] = _story(record.exc_info)
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        return _dumps({**line, "timestamp": at}).decode()


def _story(exc_info: Any) -> str:
    return story(exc_info[1]) if exc_info[1] else ""


def _dumps(value: object, **_: object) -> bytes:
    """The line, without anything private in it. Most lines have nothing, and are looked through only once."""
    line = _json(value)
    text = _ESCAPE.sub(" ", line) if "\\" in line else line
    return (line if redacted(text) == text else _json(_redacted(value))).encode()


def _json(value: object) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # half of a surrogate pair is no UTF-8
        return json.dumps(value, default=str)


def _redacted(value: object) -> object:
    """The same with its texts redacted, and its numbers where they are nothing but private."""
    match value:
        case dict():
            return {_redacted(name): _redacted(one) for name, one in value.items()}
        case list() | tuple() | set():
            return [_redacted(one) for one in value]
        case None | bool():
            return value
    text = str(value)
    less = redacted(text)
    return value if less == text else less


# Version, trace, parent, flags. Of a later version only this much is read; of version 00 there is no more.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
_LONGEST_TRACEPARENT = 255


def valid_traceparent(given: object) -> str | None:
    """The value where it is a W3C `traceparent`, cut to what is known of it; else `None`.

    Source: W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header.
    """
    if not isinstance(given, str) or len(given) > _LONGEST_TRACEPARENT or not _TRACEPARENT.fullmatch(given):
        return None
    if given[:2] == "00":
        return given if len(given) == 55 else None
    return f"00{given[2:55]}"


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the message or request at hand."""
    return _traceparent.get()


@contextmanager
def trace_context(traceparent: object, subject: object = None) -> Iterator[str]:
    """Take the caller's trace up as a child, or begin one; gives the new `traceparent`.

    Log lines inside carry the trace and what the work is about; outside they carry what they did before.
    """
    span = os.urandom(8).hex()
    given = valid_traceparent(traceparent)
    if given is not None:
        current = f"{given[:36]}{span}{given[52:]}"
    else:
        current = f"00-{os.urandom(16).hex()}-{span}-01"
    bound = {"trace_id": current[3:35]}
    if subject is not None:
        bound["subject"] = str(subject)
    before = _traceparent.set(current)
    tokens = structlog.contextvars.bind_contextvars(**bound)
    try:
        yield current
    finally:
        structlog.contextvars.reset_contextvars(**tokens)
        _traceparent.reset(before)


def without_trace() -> Context:
    """The context for a task that works for many: its log lines are not those of whoever began it."""
    context = copy_context()
    context.run(_leave_trace)
    return context


def _leave_trace() -> None:
    structlog.contextvars.unbind_contextvars("trace_id", "subject")
    _traceparent.set(None)
