"""Accounts, guests and published keys over HTTP; logging in is in `token_api`."""

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter, Depends, Response
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from auth.keys import PUBLISHED_SECONDS, Keys
from auth.registration import Registration
from auth.store import Accounts
from auth.token_api import NOT_STORED, TokensPart
from chassis.http.identity import Principal, require
from chassis.http.origin import FromWhere
from chassis.http.problems import RESPONSES, Body, NotFound
from chassis.http.provided import Provided
from contracts import MailAddress

router = APIRouter(tags=["accounts"])

Email = Annotated[MailAddress, AfterValidator(str.lower)]


def _unicode(password: SecretStr) -> SecretStr:
    try:
        password.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("must be Unicode: half of a surrogate pair is no character") from None
    return password


class NewAccount(Body):
    """Who wants an account."""

    email: Email
    password: Annotated[
        SecretStr,
        AfterValidator(_unicode),
        Field(min_length=8, max_length=256, description="Any characters; long beats complicated."),
    ]


class User(BaseModel):
    """An account as its owner sees it."""

    id: UUID
    email: str
    role: str = Field(description="`shopper` or `admin`.")
    registered_at: datetime


class Guest(BaseModel):
    """A guest's identity: the token is all there is of it, so keep it."""

    access_token: str
    token_type: str = Field(examples=["Bearer"])
    expires_in: int = Field(description="Seconds; a guest token cannot be refreshed.")
    guest_id: UUID


@router.post(
    "/v1/users",
    summary="Register",
    status_code=201,
    responses={status: RESPONSES[status] for status in (409, 422, 429, 503)},
)
async def register(
    new: NewAccount,
    origin: FromWhere,
    registration: Provided[Registration],
) -> User:
    """409 says that the address is taken. An account is good at once, so whoever registers learns it in any
    case, by logging in; how often somebody may learn it is limited, and then 429 says nothing."""
    account = await registration.register(new.email, new.password.get_secret_value(), origin)
    return User(
        id=account.account_id,
        email=account.email,
        role=account.role,
        registered_at=account.registered_at,
    )


@router.get("/v1/users/me", summary="Who am I", responses={404: RESPONSES[404]})
async def me(
    caller: Annotated[Principal, Depends(require("account:read"))],
    accounts: Provided[Accounts],
) -> User:
    """The account that the access token is for; guests have none."""
    account = await accounts.by_id(caller.id)
    if account is None:
        raise NotFound("This account does not exist any more.")
    return User(
        id=account.account_id,
        email=account.email,
        role=account.role,
        registered_at=account.registered_at,
    )


@router.post("/v1/guests", summary="Shop as a guest", status_code=201, response_model=Guest)
async def become_guest(tokens: TokensPart) -> Response:
    """An access token with an identity of its own, good for a cart, a checkout and watching the order."""
    guest_id = uuid4()
    content = {
        "access_token": tokens.for_guest(guest_id),
        "token_type": "Bearer",
        "expires_in": int(tokens.guest_seconds),
        "guest_id": guest_id,
    }
    return Response(orjson.dumps(content), 201, media_type="application/json", headers=NOT_STORED)


class JwkSet(Response):
    """RFC 7517, section 8.5."""

    media_type = "application/jwk-set+json"


@router.get(
    "/.well-known/jwks.json",
    summary="Public keys",
    response_class=JwkSet,
    responses={200: {"content": {JwkSet.media_type: {"schema": {"type": "object"}}}}},
)
async def published_keys(keys: Provided[Keys]) -> JwkSet:
    """The JWK set (RFC 7517) that access tokens are verified with."""
    headers = {"Cache-Control": f"public, max-age={PUBLISHED_SECONDS}"}
    return JwkSet(keys.current.published, headers=headers)
