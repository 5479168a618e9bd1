"""The OAuth 2 endpoints: log in, refresh, log out. Source: RFC 6749, sections 4.3, 5 and 6."""

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Form, Request, Response

from auth.domain import SCOPES, Account
from auth.logins import Logins
from auth.oauth import OAuthRoute, UnsupportedGrant
from auth.schemas import Logout, PasswordGrant, RefreshGrant, Tokens
from auth.tokens import AccessTokens, RefreshToken
from chassis.errors import Unavailable
from chassis.http.identity import TokenVerifier
from chassis.http.origin import FromWhere
from chassis.http.problems import RESPONSES, Unauthenticated
from chassis.http.provided import Provided, registry

router = APIRouter(tags=["tokens"], route_class=OAuthRoute)

NOT_STORED = {"Cache-Control": "no-store"}
LoginsPart = Provided[Logins]
TokensPart = Provided[AccessTokens]


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
    """A wrong address and a wrong password get the same response, in the same time."""
    if grant.grant_type != "password":
        raise UnsupportedGrant("Only grant_type=password is supported here.")
    guest = await _guest(request, grant.guest_token)
    return _token_response(tokens, *await logins.log_in(grant.username, grant.password, guest, origin))


@router.post(
    "/v1/token/refresh",
    summary="Renew an access token",
    response_model=Tokens,
    responses={400: RESPONSES[400]},
)
async def refresh(
    grant: Annotated[RefreshGrant, Form()], origin: FromWhere, logins: LoginsPart, tokens: TokensPart
) -> Response:
    """Each refresh token is exchanged for the next. For ten seconds it gives the same next one again, so that
    two tabs, or a client that lost the answer, keep their session. Using it later ends the session, because
    it may be stolen."""
    if grant.grant_type != "refresh_token":
        raise UnsupportedGrant("Only grant_type=refresh_token is supported here.")
    return _token_response(tokens, *await logins.renew(grant.refresh_token, origin))


@router.post("/v1/logout", summary="Log out", status_code=204)
async def log_out(form: Annotated[Logout, Form()], origin: FromWhere, logins: LoginsPart) -> None:
    """Ends the session; 204 even if there is none. Access tokens stay valid until they expire."""
    await logins.log_out(form.refresh_token, origin)


async def _guest(request: Request, field: str | None) -> UUID | None:
    """The id of the guest who logs in, if a valid guest token was sent."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    token = field or (bearer.strip() if scheme.lower() == "bearer" else None)
    if not token:
        return None
    try:
        caller = await registry(request.app)[TokenVerifier].verify(token)
    except (Unauthenticated, Unavailable):
        return None
    return caller.id if caller.role == "guest" else None


def _token_response(tokens: AccessTokens, account: Account, refresh_token: RefreshToken) -> Response:
    content = {
        "access_token": tokens.for_account(account),
        "token_type": "Bearer",
        "expires_in": int(tokens.access_seconds),
        "refresh_token": str(refresh_token),
        "scope": SCOPES[account.role],
    }
    return Response(orjson.dumps(content), media_type="application/json", headers=NOT_STORED)
