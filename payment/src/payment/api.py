"""The provider's webhook, payment's only route."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from chassis.http.problems import RESPONSES, Problem
from chassis.http.provided import Provided
from payment import webhooks
from payment.webhooks import Hints

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class BadSignature(Problem):
    """400: only the provider may call this route."""

    status = 400
    title = "Bad Request"


@dataclass(frozen=True)
class Webhooks:
    """What the route needs: `hints` acts on them, `secret` signs events, which may be `tolerance` seconds
    old."""

    hints: Hints
    secret: str
    tolerance: int


@router.post(
    "/stripe",
    summary="Receive a webhook of the payment provider",
    description="A signed Stripe event, at least once and in any order. It is only a hint: a call whose "
    "outcome is unknown is retried now, and a payment that may have changed at the provider (a refund, a "
    "dispute, a cancellation) is looked up. Events of other types or of unknown payments are answered with "
    "200 and ignored.",
    response_class=Response,
    responses={
        200: {"description": "Received, and committed where it matters"},
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
async def receive_webhook(request: Request, hooks: Provided[Webhooks]) -> Response:
    signature = request.headers.get("stripe-signature")
    try:
        hint = webhooks.read(await request.body(), signature, hooks.secret, hooks.tolerance)
    except webhooks.InvalidWebhook as error:
        raise BadSignature(str(error)) from error
    if hint is not None:
        await hooks.hints.accept(hint)
    return Response()
