"""OAuth 2 over HTTP: forms in, tokens out. Source: RFC 6749, sections 4.3, 5 and 6."""

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, Field

from auth.domain import SCOPES, Account
from auth.logins import Logins
from auth.oauth import OAuthRoute, UnsupportedGrant
from auth.refresh import RefreshToken
from auth.tokens import AccessTokens
from chassis.errors import Unavailable
from chassis.http.identity import TokenVerifier
from chassis.http.origin import FromWhere
from chassis.http.problems import NO_NUL, RESPONSES, Unauthenticated
from chassis.http.provided import Provided, registry

router = APIRouter(tags=["tokens"], route_class=OAuthRoute)

NOT_STORED = {"Cache-Control": "no-store"}
LoginsPart = Provided[Logins]
TokensPart = Provided[AccessTokens]


class PasswordGrant(BaseModel):
    """A login. Fields that OAuth knows besides (`scope`, `client_id`) are ignored, as it demands."""

    grant_type: Annotated[str, Field(max_length=50, description="`password`.")] = "password"
    username: Annotated[
        str, Field(min_length=1, max_length=320, pattern=NO_NUL, description="The e-mail address.")
    ]
    password: Annotated[str, Field(min_length=1, max_length=1024)]
    guest_token: Annotated[
        str | None,
        Field(
            max_length=4096,
            description="The guest's access token that the shopper had until now: the guest's cart becomes"
            " the account's. It may come as the bearer token, too. One that is no longer valid is ignored.",
        ),
    ] = None


class RefreshGrant(BaseModel):
    """A refresh. The token is good once; using it again ends the session."""

    grant_type: Annotated[str, Field(max_length=50, description="`refresh_token`.")] = "refresh_token"
    refresh_token: Annotated[str, Field(min_length=1, max_length=512)]


class Logout(BaseModel):
    """Any refresh token of the session."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=512)]


class Tokens(BaseModel):
    """An access token, to be sent as `Authorization: Bearer …`, and what to get the next one with."""

    access_token: str
    token_type: str = Field(examples=["Bearer"])
    expires_in: int = Field(description="Seconds that the access token is good for.")
    refresh_token: str
    scope: str = Field(description="What the account's role may do beyond what is its own.")


@router.post(
    "/v1/token",
    summary="Log in",
    response_model=Tokens,
    responses={400: RESPONSES[400], 429: RESPONSES[429], 503: RESPONSES[503]},
)
async def log_in(
    grant: Annotated[PasswordGrant, Form()],
    request: Request,
    origin: FromWhere,
    logins: LoginsPart,
    tokens: TokensPart,
) -> Response:
    """The answer to a wrong address and to a wrong password is the same, and takes the same time."""
    if grant.grant_type != "password":
        raise UnsupportedGrant("Only grant_type=password is served here.")
    guest = await _guest(request, grant.guest_token)
    return _answer(tokens, *await logins.begin(grant.username, grant.password, guest, origin))


@router.post(
    "/v1/token/refresh",
    summary="Renew an access token",
    response_model=Tokens,
    responses={400: RESPONSES[400]},
)
async def refresh(
    grant: Annotated[RefreshGrant, Form()], origin: FromWhere, logins: LoginsPart, tokens: TokensPart
) -> Response:
    """Each refresh token is good for one use. Using one again ends the session, because it may be stolen."""
    if grant.grant_type != "refresh_token":
        raise UnsupportedGrant("Only grant_type=refresh_token is served here.")
    return _answer(tokens, *await logins.renew(grant.refresh_token, origin))


@router.post("/v1/logout", summary="Log out", status_code=204)
async def log_out(form: Annotated[Logout, Form()], origin: FromWhere, logins: LoginsPart) -> None:
    """Ends the session; 204 also when there is none. Access tokens stay good until they expire."""
    await logins.end(form.refresh_token, origin)


async def _guest(request: Request, field: str | None) -> UUID | None:
    """The guest that is logging in, when the token is a guest's and still good."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    token = field or (bearer.strip() if scheme.lower() == "bearer" else None)
    if not token:
        return None
    try:
        caller = await registry(request.app)[TokenVerifier].verify(token)
    except (Unauthenticated, Unavailable):
        return None
    return caller.id if caller.role == "guest" else None


def _answer(tokens: AccessTokens, account: Account, refresh_token: RefreshToken) -> Response:
    content = {
        "access_token": tokens.for_account(account),
        "token_type": "Bearer",
        "expires_in": int(tokens.access_seconds),
        "refresh_token": str(refresh_token),
        "scope": SCOPES[account.role],
    }
    return Response(orjson.dumps(content), media_type="application/json", headers=NOT_STORED)
