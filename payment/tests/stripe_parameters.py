"""Validates requests against the official SDK's typed parameters: unknown keys, values of another type and
words outside the SDK's literals are errors."""

import re
import sys
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace, UnionType
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter
from stripe import params
from stripe._request_options import RequestOptions
from typing_extensions import TypedDict, is_typeddict

OPTIONS = RequestOptions.__annotations__
_ID = r"[a-z]+_\w+"
TYPES: Mapping[tuple[str, str], type] = {
    ("post", "/v1/payment_intents"): params.PaymentIntentCreateParams,
    ("post", f"/v1/payment_intents/{_ID}/capture"): params.PaymentIntentCaptureParams,
    ("post", f"/v1/payment_intents/{_ID}/cancel"): params.PaymentIntentCancelParams,
    ("post", "/v1/refunds"): params.RefundCreateParams,
    ("get", "/v1/payment_intents/search"): params.PaymentIntentSearchParams,
    ("get", f"/v1/payment_intents/{_ID}"): params.PaymentIntentRetrieveParams,
    ("get", "/v1/payment_intents"): params.PaymentIntentListParams,
    ("get", "/v1/refunds"): params.RefundListParams,
    ("get", "/v1/disputes"): params.DisputeListParams,
}
"""Every request that payment makes. One that is not here has to be added with its parameters' type."""


def validate(method: str, path: str, form: Mapping[str, Any]) -> None:
    """Raises ValidationError, and AssertionError for a request that is not known."""
    found = [of for (verb, pattern), of in TYPES.items() if verb == method and re.fullmatch(pattern, path)]
    assert found, f"{method} {path} is none of the requests whose parameters are known: add its type"
    _adapter(found[0]).validate_python(dict(form))


@cache
def _adapter(of: type) -> TypeAdapter[Any]:
    return TypeAdapter(_strict(of))


@cache
def _strict(annotation: Any) -> Any:
    """The same type, with nothing left to chance."""
    if is_typeddict(annotation):
        return _closed(annotation)
    origin, members = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return Union[tuple(_strict(one) for one in _distinguishable(members))]  # noqa: UP007  made of what was found
    if origin in (NotRequired, Required):
        return origin[_strict(members[0])]
    if origin in (list, dict):
        return origin[tuple(_strict(one) for one in members)]
    return annotation


def _closed(of: Any) -> Any:
    """The TypedDict, refusing what it does not know; the SDK's options of a request are no part of a form."""
    own = {name: hint for name, hint in of.__annotations__.items() if name not in OPTIONS}
    hints = get_type_hints(
        SimpleNamespace(__annotations__=own), vars(sys.modules[of.__module__]), include_extras=True
    )
    make: Any = TypedDict
    closed = make(of.__name__, {name: _strict(hint) for name, hint in hints.items()})
    closed.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    return closed


def _distinguishable(members: tuple[Any, ...]) -> list[Any]:
    """The types without the SDK's objects, and without `str` beside literals, which allows for later
    literals."""
    known = [one for one in members if isinstance(get_origin(one) or one, type) or get_origin(one) is Literal]
    words = {word for one in known if get_origin(one) is Literal for word in get_args(one)} - {""}
    plain = [one for one in known if get_origin(one) in (Literal, list, dict) or not get_args(one)]
    return [one for one in plain if not (one is str and words)]
