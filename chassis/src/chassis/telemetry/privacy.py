"""Keeps personal data out of logs and error reports: the data that an error is about, and any e-mail address,
card number, token or key in a text."""

import re
import traceback
from textwrap import indent

import asyncpg
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

_MAX_DEPTH = 10
_QUOTES_DATA = "sqlalchemy."
_ABOUT_DATA = ("22", "23")  # SQLSTATE: data exceptions, violated constraints
_PRIVATE = re.compile(
    r"""
      (?P<token> \beyJ[\w-]{8,4096}\.[\w-]{8,4096}\.[\w-]* | \b(?i:bearer|basic)\ [\w.~+/-]{16,}=* )
    | (?P<login> (?<=://) [^\s/@:"'<>]* : [^\s/@"'<>]+ (?=@) )
    | (?P<key> \b(?:sk|rk|whsec)_\w{8,} )
    | (?P<address> [\w.+-]{1,64} (?:@|%40) [\w-]+ (?:\.[\w-]+)* \.[A-Za-z]{2,} )
    """,
    re.VERBOSE,
)
_HINTS = ("@", "%40", "eyJ", "earer ", "asic ", "EARER ", "ASIC ", "sk_", "rk_", "whsec_")
_CARD = re.compile(r"[3-6]\d{3}([ -]?)\d{4}\1\d{4}\1\d{1,7}(?![\w-])")


def redacted(text: str) -> str:
    """The text with personal data replaced by its kind, such as `[address]` or `[card]`."""
    if any(hint in text for hint in _HINTS):  # most texts have none; this costs a twentieth of the expression
        text = _PRIVATE.sub(lambda found: f"[{found.lastgroup}]", text)
    return _CARD.sub(lambda found: "[card]" if _is_card(found) else found[0], text)


def reason(error: BaseException) -> str:
    """The error as one text, without the input that caused it, which may be personal data."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        return redacted(f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}")
    if isinstance(error, DBAPIError):
        error = getattr(error.orig, "__cause__", None) or error.orig or error
    name = type(error).__name__
    if type(error).__module__.startswith(_QUOTES_DATA) or _is_about_data(error):
        where = getattr(error, "constraint_name", None) or getattr(error, "column_name", None)
        return f"{name}: {where}" if where else name
    return redacted(f"{name}: {error}")


def safe_traceback(error: BaseException, depth: int = 0) -> str:
    """The traceback, with those of its cause and of a group's members; each error's text is its `reason`."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{safe_traceback(cause, depth + 1)}\n\n" if cause is not None and depth < _MAX_DEPTH else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) and depth < _MAX_DEPTH else ()
    within = "".join(f"\n{indent(safe_traceback(part, depth + 1), '  | ')}" for part in parts)
    return f"{before}Traceback (most recent call last):\n{frames}{reason(error)}{within}"


def _is_about_data(error: BaseException) -> bool:
    """Whether PostgreSQL's message quotes a row or a value."""
    return isinstance(error, asyncpg.PostgresError) and str(error.sqlstate)[:2] in _ABOUT_DATA


def _is_card(found: re.Match[str]) -> bool:
    """Whether it is a number by itself that satisfies Luhn's formula, as one in ten other numbers does."""
    before = found.string[found.start() - 1 : found.start()]
    digits = [int(digit) for digit in reversed(found[0]) if digit.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    alone = not (before.isalnum() or before in ("-", "_"))
    return alone and (sum(digits[::2]) + sum(doubled)) % 10 == 0
