"""The page of the shopper's bank, to which `next_action` sends her: she confirms the payment or refuses it.

Afterwards she goes back to the shop's `return_url`, with the query that Stripe appends:
https://docs.stripe.com/payments/3d-secure/authentication-flow#return-url.
"""

import hmac
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from standins.sandbox import forms
from standins.sandbox.calls import CallHandler
from standins.sandbox.currencies import written
from standins.sandbox.errors import Refusal
from standins.sandbox.exchange import Exchange
from standins.sandbox.intents import Intent
from standins.sandbox.state import State

PATH = "/3d_secure/"
PAGE = Template(Path(__file__).with_suffix(".html").read_text())
HTML = b"text/html; charset=utf-8"
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
CHOICES = {"complete": True, "fail": False}


async def serve(exchange: Exchange, state: State, handler: CallHandler) -> None:
    try:
        intent = _intent(exchange, state)
        if exchange.method == "POST":
            await _decide(exchange, intent, handler)
        else:
            await _show(exchange, 200, _content(intent))
    except Refusal as refusal:
        await _show(exchange, refusal.status, f"<h1>Nothing to confirm</h1><p>{escape(str(refusal))}</p>")


async def _decide(exchange: Exchange, intent: Intent, handler: CallHandler) -> None:
    """Idempotent: a second press redirects with the first decision."""
    choice = dict(forms.read_form(await exchange.body())).get("choice")
    if choice not in CHOICES:
        raise Refusal(f"choice must be one of {', '.join(CHOICES)}")
    if intent.status == "requires_action":
        intent = handler.authenticate(intent.id, passed=CHOICES[choice])
    if intent.return_url is None:
        await _show(exchange, 200, _content(intent))
    else:
        await exchange.send(303, b"", (b"location", _return(intent).encode()), *HEADERS, media=HTML)


def _intent(exchange: Exchange, state: State) -> Intent:
    """The payment of this page; its URL contains a secret."""
    intent = state.intents.get(exchange.path.removeprefix(PATH))
    [given] = parse_qs(exchange.query.decode("latin-1")).get("client_secret", [""])[:1]
    if intent is None or not hmac.compare_digest(given.encode(), intent.secret.encode()):
        raise Refusal("There is no such payment.", status=404)
    if exchange.method not in ("GET", "POST"):
        raise Refusal("This page is read, and its form is sent.", status=405)
    return intent


def _return(intent: Intent) -> str:
    """The shop's address, with what its page needs to go on."""
    passed = intent.status in ("requires_capture", "succeeded", "processing")
    more = {
        "payment_intent": intent.id,
        "payment_intent_client_secret": intent.secret,
        "redirect_status": "succeeded" if passed else "failed",
    }
    address = urlsplit(intent.return_url or "")
    return urlunsplit(address._replace(query="&".join(filter(None, [address.query, urlencode(more)]))))


def _content(intent: Intent) -> str:
    """The question while the bank asks; afterwards the way back to the shop."""
    if intent.status != "requires_action":
        back = f'<p><a href="{escape(_return(intent))}">Back to the shop</a></p>' if intent.return_url else ""
        return f"<h1>Nothing to confirm</h1><p>This payment does not wait for you: {intent.status}.</p>{back}"
    amount = written(intent.amount, intent.currency).upper()
    return f"""
<h1>Your bank asks: is this payment yours?</h1>
<p>{escape(amount)}, payment {escape(intent.id)}. This is a test: no money moves.</p>
<form method="post">
<button name="choice" value="complete">Confirm the payment</button>
<button name="choice" value="fail">Refuse the payment</button>
</form>"""


async def _show(exchange: Exchange, status: int, content: str) -> None:
    await exchange.send(status, PAGE.substitute(content=content).encode(), *HEADERS, media=HTML)
