"""The endpoints of registering, of guests and of public keys. `token_api` has those of logging in,
`account_api` those of what an account does with itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import uuid4

import orjson
from fastapi import APIRouter, Depends, FastAPI, Response
from pydantic import SecretStr

from auth.domain import Role
from auth.keys import PUBLISHED_SECONDS, Keys
from auth.registration import Registration
from auth.schemas import Guest, NewAccount, User
from auth.settings import Settings
from auth.store import Accounts
from auth.token_api import NOT_STORED, TokensPart
from chassis.http.identity import Principal, require
from chassis.http.origin import FromWhere
from chassis.http.problems import RESPONSES, NotFound
from chassis.http.provided import Provided

router = APIRouter(tags=["accounts"])


@router.post(
    "/v1/users",
    summary="Register",
    status_code=201,
    responses={status: RESPONSES[status] for status in (409, 429, 503)},
)
async def register(
    new: NewAccount,
    origin: FromWhere,
    registration: Provided[Registration],
) -> User:
    """409 says that the address is taken. That cannot be concealed, since an account can be used at once; but
    how many 409s a network gets is limited, and after that every registration gets 429."""
    account = await registration.register(new.email, new.password.get_secret_value(), origin)
    return User.of(account)


@router.get("/v1/users/me", summary="Who am I", responses={404: RESPONSES[404]})
async def me(
    caller: Annotated[Principal, Depends(require("account:read"))],
    accounts: Provided[Accounts],
) -> User:
    """The account of the access token; guests have none."""
    account = await accounts.by_id(caller.id)
    if account is None:
        raise NotFound("Account not found.")
    return User.of(account)


@router.post("/v1/guests", summary="Shop as a guest", status_code=201, response_model=Guest)
async def become_guest(tokens: TokensPart) -> Response:
    """An access token with a new identity, for a cart, a checkout and the view of the order."""
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


def staff_accounts(settings: Settings, registration: Registration) -> APIRouter:
    """No routes: its lifespan creates the accounts of staff that the settings name, before the API starts."""
    named: list[tuple[Role, str | None, SecretStr | None]] = [
        ("admin", settings.admin_email, settings.admin_password),
        ("warehouse", settings.warehouse_email, settings.warehouse_password),
    ]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for role, email, password in named:
            if email is not None and password is not None:
                await registration.ensure_staff(role, email, password.get_secret_value())
        yield

    return APIRouter(lifespan=lifespan)
