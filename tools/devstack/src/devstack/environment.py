"""Each program's environment: addresses, and only its own secrets."""

from devstack.stack import HOST, Stack, own_port
from shop.keys.verifiers import AUDIENCE, ISSUER
from shop.machine import project_root
from shop.secrets import SIGNING_KEYS
from shop.targets import SERVICES

MAIL_FROM = "Saga Shop <shop@example.com>"
UPSTREAMS = ("auth", "product", "cart", "order", "payment", "storefront")  # of kong.yml
# Settings of `gateway`:
TRUSTED_PROXIES = "TRUSTED_PROXIES"  # the proxies in front of it, as CIDR blocks
# Where the storefront calls from, alone on this machine: others call from 127.0.0.1, which is not trusted.
# Linux has all of 127.0.0.0/8.
STOREFRONT = "127.0.0.2"
RATE_FACTOR = "RATE_FACTOR"  # multiplies every rate limit, for load from one address
CORS_ORIGINS = "CORS_ORIGINS"  # whose pages may read answers, comma-separated
DEVELOPMENT_ORIGINS = ("http://localhost:3000", "http://localhost:8000", "http://localhost:18000")
WEBHOOK_PATH = "/v1/webhooks/stripe"
# What the provider does by itself, or after its response; payment knows the rest from responses.
WEBHOOK_EVENTS = ",".join(
    (
        *("payment_intent.requires_action", "payment_intent.payment_failed", "payment_intent.canceled"),
        *("refund.created", "refund.updated", "refund.failed"),
        *("charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"),
    )
)


def of(stack: Stack, program: str) -> dict[str, str]:
    """A service's copies have the same environment, except for a port of its own for each."""
    name = next((service for service in SERVICES if program in stack.copies(service)), program)
    environment = {"PORT": str(stack.ports[name])} if name in stack.ports else {}
    if name in SERVICES:
        environment |= {
            **stack.database_login(name),
            **stack.amqp_login(name),
            "JWKS_URL": f"{stack.http('auth')}/.well-known/jwks.json",
            "TOKEN_ISSUER": ISSUER,
            "TOKEN_AUDIENCE": AUDIENCE,
            "LOG_LEVEL": "info",
        }
    environment |= _own(stack, name)
    if own_port(program) in stack.ports:
        environment["OWN_PORT"] = str(stack.ports[own_port(program)])
    return {**environment, **stack.settings.get(name, {}), **_trusted(stack, name)}


def _own(stack: Stack, program: str) -> dict[str, str]:
    gateway = stack.settings.get("gateway", {})
    shop_origins = gateway.get(CORS_ORIGINS) or ",".join(_own_origins(stack))
    pages = shop_origins.partition(",")[0].strip()
    match program:
        case "auth":
            return {
                "SIGNING_KEYS_FILE": str(stack.secrets.path(SIGNING_KEYS)),
                "CONTACT_KEY": stack.secret("contact-key"),
                "ADMIN_EMAIL": stack.admin_email,
                "ADMIN_PASSWORD": stack.admin_password,
                "WAREHOUSE_EMAIL": stack.warehouse_email,
                "WAREHOUSE_PASSWORD": stack.secret("warehouse-password"),
            }
        case "cart":
            return {"PRODUCT_URL": stack.http("product")}
        case "order":
            return {
                "PRODUCT_URL": stack.http("product"),
                "CART_URL": stack.http("cart"),
                "CONTACT_KEY": stack.secret("contact-key"),
                "ACTION_KEY": stack.secret("action-key"),
                # Of the shop's pages, for CORS and return URLs: set once, at the gateway.
                "RETURN_ORIGINS": gateway.get(CORS_ORIGINS)
                or ",".join([*DEVELOPMENT_ORIGINS, *_own_origins(stack)]),
                "ORDER_DEADLINE": "900",
            }
        case "payment":
            return {
                "STRIPE_API_KEY": stack.secret("stripe-api-key"),
                "STRIPE_API_BASE": stack.sandbox_url,
                "STRIPE_WEBHOOK_SECRET": stack.secret("stripe-webhook-secret"),
                "ACTION_KEY": stack.secret("action-key"),
            }
        case "notification":
            return {
                "CONTACT_KEY": stack.secret("contact-key"),
                "SMTP_HOST": HOST,
                "SMTP_PORT": str(stack.ports["smtp"]),
                "MAIL_FROM": MAIL_FROM,
                "SELLER_NAME": "Saga Shop",
                "SELLER_ADDRESS": "1 Example Street|London",
                "ORDER_LINK": f"{pages}/orders/{{number}}",
                "CLAIM_LINK": f"{pages}/claim#{{token}}",
                "RESET_LINK": f"{pages}/reset/new#{{token}}",
                "CONFIRM_LINK": f"{pages}/confirm#{{token}}",
            }
        case "storefront":
            return {
                "GATEWAY_URL": stack.gateway_url,
                "CALL_FROM": STOREFRONT,
                "SHOP_ORIGINS": shop_origins,
                "SESSION_KEY": stack.secret("session-key"),
            }
        case "sandbox":
            return {
                "SANDBOX_API_KEY": stack.secret("stripe-api-key"),
                "SANDBOX_JOURNAL": str(stack.folder / "sandbox.journal"),
                "SANDBOX_WEBHOOK_URL": f"{stack.gateway_url}{WEBHOOK_PATH}",
                "SANDBOX_WEBHOOK_EVENTS": WEBHOOK_EVENTS,
                "SANDBOX_WEBHOOK_SECRET": stack.secret("stripe-webhook-secret"),
            }
        case "mailbox":
            return {"SMTP_PORT": str(stack.ports["smtp"]), "MAILBOX_FOLDER": str(stack.folder / "mailbox")}
        case "warehouse":
            return {
                "GATEWAY_URL": stack.gateway_url,
                "WAREHOUSE_EMAIL": stack.warehouse_email,
                "WAREHOUSE_PASSWORD": stack.secret("warehouse-password"),
                "WAREHOUSE_CATALOGUE": str(project_root() / "storefront" / "catalogue.json"),
            }
        case "gateway":
            upstreams = ",".join(f"{name}={HOST}:{stack.ports[name]}" for name in UPSTREAMS)
            return {
                "KONG_FILE": str(stack.layout.kong),
                "ERROR_TEMPLATE_HTML": str(project_root() / "deploy" / "kong" / "error.html"),
                "UPSTREAMS": upstreams,
                "TLS_PORT": str(stack.ports["gateway-tls"]),
                "TLS_CERT": str(stack.layout.secrets / "gateway.pem"),
                "TLS_KEY": str(stack.layout.secrets / "gateway-key.pem"),
            }
        case "monitor":
            return {
                "SHOP_MANAGEMENT_URL": stack.management_url,
                "SHOP_AMQP_URL": stack.operator_amqp_url,
                "DEFINITIONS": str(stack.topology or ""),
            }
        case _:
            return {}


def _trusted(stack: Stack, program: str) -> dict[str, str]:
    """The gateway and the services that count clients trust the same proxies."""
    if program not in ("gateway", "auth", "order"):
        return {}
    in_front = stack.settings.get("gateway", {}).get(TRUSTED_PROXIES)
    return {TRUSTED_PROXIES: ",".join(filter(None, (STOREFRONT, in_front)))}


def _own_origins(stack: Stack) -> tuple[str, ...]:
    """At which a browser on this machine reaches the gateway; the first is the one that is printed."""
    return stack.gateway_url, stack.gateway_tls_url, f"http://localhost:{stack.ports['gateway']}"
