"""The provider's webhook: the only way into payment but events."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from chassis.http.problems import RESPONSES, Problem
from chassis.http.provided import Provided
from payment import webhooks
from payment.hints import Hints

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class BadSignature(Problem):
    """400: nobody but the provider may speak here."""

    status = 400
    title = "Bad Request"


@dataclass(frozen=True)
class Webhooks:
    """What the route needs: who acts on hints, the secret that events are signed with, and how many seconds
    one may be old."""

    hints: Hints
    secret: str
    tolerance: int


@router.post(
    "/stripe",
    summary="Hear from the payment provider",
    description="A signed Stripe event, at least once and in any order. It is only a hint about a payment: "
    "a call for it whose outcome is unknown is made again now, and what somebody else may have done (a "
    "refund, a dispute, a cancellation) is looked up. Other types, and payments that are not known here, are "
    "answered with 200 and ignored.",
    response_class=Response,
    responses={
        200: {"description": "Heard, and remembered where it matters"},
        400: RESPONSES[400],
        413: RESPONSES[413],
        503: RESPONSES[503],
    },
    openapi_extra={
        "parameters": [
            {"name": "Stripe-Signature", "in": "header", "required": True, "schema": {"type": "string"}}
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    },
)
async def hear_provider(request: Request, hooks: Provided[Webhooks]) -> Response:
    signature = request.headers.get("stripe-signature")
    try:
        hint = webhooks.read(await request.body(), signature, hooks.secret, hooks.tolerance)
    except webhooks.Forged as error:
        raise BadSignature(str(error)) from error
    if hint is not None:
        await hooks.hints.heed(hint)
    return Response()
