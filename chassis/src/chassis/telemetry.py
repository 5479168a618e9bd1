"""JSON logs that carry the subject and the trace, bound once per message or request."""

import json
import logging
import os
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from chassis.privacy import redacted, story

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


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the message or request at hand."""
    return _traceparent.get()


def continue_trace(traceparent: str | None) -> str:
    """Take the caller's trace up as a child, or begin one. Returns the new `traceparent` and binds it.

    Source: W3C Trace Context, https://www.w3.org/TR/trace-context/.
    """
    span = os.urandom(8).hex()
    if traceparent is not None and len(traceparent) == 55 and traceparent[:3] == "00-":
        current = f"{traceparent[:36]}{span}{traceparent[52:]}"
    else:
        current = f"00-{os.urandom(16).hex()}-{span}-01"
    _traceparent.set(current)
    structlog.contextvars.bind_contextvars(trace_id=current[3:35])
    return current


def bind_subject(subject: object) -> None:
    """Name in every log line what the work is about."""
    structlog.contextvars.bind_contextvars(subject=str(subject))
