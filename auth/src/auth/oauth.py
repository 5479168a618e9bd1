"""OAuth errors as problem documents: clients of RFC 6749 read `error`, others the rest."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from chassis.http.problems import Problem


class OAuthError(Problem):
    """400 with the members of RFC 6749, section 5.2."""

    status = 400
    title = "Bad Request"
    error = "invalid_request"

    def __init__(self, detail: str, **headers: str) -> None:
        super().__init__(detail, headers=headers, error=self.error, error_description=detail)


class InvalidGrant(OAuthError):
    """The credentials or the refresh token are invalid; the response does not say which part."""

    type = "/problems/invalid-grant"
    title = "Invalid Grant"
    error = "invalid_grant"


class UnsupportedGrant(OAuthError):
    """A `grant_type` that this endpoint does not support."""

    type = "/problems/unsupported-grant-type"
    title = "Unsupported Grant Type"
    error = "unsupported_grant_type"


class TooManyAttempts(OAuthError):
    """429: wait `seconds` before the next try."""

    status = 429
    type = "/problems/too-many-attempts"
    title = "Too Many Requests"
    error = "temporarily_unavailable"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            "Too many failed logins: wait and try again.", **{"Retry-After": str(int(seconds) + 1)}
        )


class OAuthRoute(APIRoute):
    """A route that reports invalid forms as OAuth errors."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_form(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                errors = ", ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())
                raise OAuthError(f"The form is not valid: {errors}.") from error

        return handle_form
