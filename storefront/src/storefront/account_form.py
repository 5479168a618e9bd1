"""What the forms about accounts check, and what the API's refusals mean beside their fields."""

import re
from typing import Any

from starlette.responses import Response

from storefront.api import Json, Refused
from storefront.pages import Visit

MAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
SHORTEST, LONGEST = 8, 256  # characters of a password, as auth takes it
_LONGEST_ADDRESS = 254

# A problem's type: the field that is wrong, and why. `templates/parts/fields.html` has the sentences.
_FIELDS = {
    "/problems/email-taken": ("email", "email_taken"),
    "/problems/wrong-password": ("password", "password_wrong"),
}
# A field that is not valid.
_INVALID = {
    "email": "email",
    "number": "number",
    "password": "password_bad",
    "new_password": "password_bad",
    "token": "token_missing",
}
# Or what is wrong with the whole.
_WARNINGS = {
    "/problems/invalid-grant": "credentials",
    "/problems/token-not-valid": "token",
    "/problems/claim-link-not-valid": "token",
    "/problems/claim-link-expired": "token",
    "/problems/claim-link-used": "claim_used",
    "/problems/claim-needs-the-address": "claim_address",
    "/problems/already-confirmed": "confirmed",
}


def show(visit: Visit, template: str, status: int = 200, /, **values: Any) -> Response:
    """A page with a form. `wrong` are the fields to change, each with the reason."""
    return visit.page(template, status, **{"wrong": {}, "warning": None, "wait": 0, **values})


def again(
    visit: Visit, template: str, refused: Refused, *, chosen: str = "password", **values: Any
) -> Response:
    """The form once more, with what the API refused and how long to wait. `chosen`: the field of a new
    password. Raises `refused` if the shopper has to log in."""
    if refused.status == 401:
        raise refused
    wrong, warning = _wrong(refused, chosen), None
    if not wrong:
        warning = _WARNINGS.get(refused.type) or _by_status(refused)
    status = 503 if refused.status >= 500 else refused.status
    response = show(
        visit, template, status, **{**values, "wrong": wrong, "warning": warning, "wait": refused.retry_after}
    )
    if refused.retry_after:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def mail_problems(email: str, name: str = "email") -> Json:
    is_mail = MAIL.fullmatch(email) and len(email) <= _LONGEST_ADDRESS
    return {} if is_mail else {name: "email"}


def password_problems(password: str, name: str = "password") -> Json:
    """Of a password that is chosen."""
    if len(password) < SHORTEST:
        return {name: "password_short"}
    return {name: "password_long"} if len(password) > LONGEST else {}


def _wrong(refused: Refused, chosen: str) -> Json:
    if refused.type == "/problems/password-is-address":
        return {chosen: "password_is_address"}
    if refused.type in _FIELDS:
        field, reason = _FIELDS[refused.type]
        return {field: reason}
    pointers = [str(one.get("pointer", "")).rpartition("/")[2] for one in refused.members.get("errors", [])]
    reasons = {
        "password": "password_bad",
        "new_password": "password_bad",
        "email": "email",
        "number": "number",
    }
    return {name: reasons[name] for name in pointers if name in reasons}


def _by_status(refused: Refused) -> str:
    if refused.status == 429:
        return "too_many"
    if refused.status == 404:
        return "not_found"
    if refused.status == 400:
        return "credentials"  # an address or a password that no account can have
    return "unavailable" if refused.status >= 500 else "refused"
