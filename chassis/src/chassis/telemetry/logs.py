"""JSON logs. Each line carries the trace and the subject, which are bound once per message or request."""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any

import orjson
import structlog
from structlog.typing import Processor

from chassis.telemetry.privacy import redacted, safe_traceback

_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')  # in `\\nada@…` the `n` belongs to no address
_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


def configure_logging(service: str, level: str) -> None:
    """Log to standard output, one JSON object per line: time, level, service, event, bound ids."""
    completing: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.ExceptionRenderer(_traceback),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        processors=[
            structlog.contextvars.merge_contextvars,
            *completing,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(file=sys.stdout.buffer),
    )
    structlog.contextvars.bind_contextvars(service=service)
    of_libraries = structlog.stdlib.ProcessorFormatter(  # they use `logging`
        processors=[
            structlog.stdlib.add_logger_name,
            *completing,
            lambda _, __, line: {**line, "service": service, "event": _encodable(line["event"])},
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(serializer=lambda line, **_: _dumps(line).decode()),
        ]
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(of_libraries)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


def _traceback(exc_info: Any) -> str:
    return safe_traceback(exc_info[1]) if exc_info[1] else ""


def _dumps(value: object, **_: object) -> bytes:
    """The line as JSON, redacted. For most lines, one pass over the text finds nothing to redact."""
    line = _json(value)
    text = _ESCAPE.sub(" ", line) if "\\" in line else line
    return (line if redacted(text) == text else _json(_redacted(value))).encode()


def _json(value: object) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # orjson cannot encode half of a surrogate pair
        return json.dumps(value, default=str)


def _redacted(value: object) -> object:
    """The value with its texts redacted, and also numbers that are a card number as a whole."""
    match value:
        case dict():
            return {_redacted(name): _redacted(one) for name, one in value.items()}
        case list() | tuple() | set():
            return [_redacted(one) for one in value]
        case None | bool():
            return value
    text = str(value)
    safe = redacted(text)
    return value if safe == text else safe


# Version, trace, parent, flags. A later version may append more, which is ignored; version 00 may not.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
_MAX_TRACEPARENT = 255


def valid_traceparent(given: object) -> str | None:
    """The value if it is a W3C `traceparent`, cut to the fields of version 00; otherwise `None`.

    Source: W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header.
    """
    if not isinstance(given, str) or len(given) > _MAX_TRACEPARENT or not _TRACEPARENT.fullmatch(given):
        return None
    if given[:2] == "00":
        return given if len(given) == 55 else None
    return f"00{given[2:55]}"


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the message or request that is being handled."""
    return _traceparent.get()


@contextmanager
def trace_context(traceparent: object, subject: object = None) -> Iterator[str]:
    """Continue the caller's trace with a new span, or begin a trace. Yields the new `traceparent`.

    Log lines inside the block carry the trace's id and the subject; afterwards they carry what they did
    before.
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
    """The context for a task that serves many requests: its log lines carry no request's trace."""
    context = copy_context()
    context.run(structlog.contextvars.unbind_contextvars, "trace_id", "subject")
    context.run(_traceparent.set, None)
    return context
