"""Asking before something is done, and why: a terminal is asked, a script has to say both."""

import sys

import typer

from shop.errors import ShopError


def consent(question: str, why: str | None, *, yes: bool, as_json: bool) -> str:
    """The reason, for the audit. Raises ShopError when the answer is no, or when nobody can be asked."""
    if (as_json or not sys.stdin.isatty()) and not (why and yes):
        raise ShopError("stdin is not a terminal: pass --yes and --why TEXT")
    why = why or typer.prompt("Why")
    if not yes and not typer.confirm(question):
        raise ShopError("nothing was done")
    return why
