"""Which tokens are believed, and what happens while the issuer is away."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import Depends, FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from chassis.identity import Caller, Principal, TokenVerifier, require
from chassis.problems import Unauthenticated, Unavailable, install

ADA = UUID("a0a0a0a0-0000-4000-8000-000000000001")
NOW = 1_800_000_000.0


class Issuer:
    """Publishes keys like the real one, and can be told to be away."""

    def __init__(self) -> None:
        self.now = NOW
        self.keys: list[ECKey | RSAKey] = [new_key("one")]
        self.away = False
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.was_asked.set()
        await asyncio.sleep(0)
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})

    def token(
        self, header: dict[str, Any] | None = None, key: ECKey | RSAKey | None = None, **claims: Any
    ) -> str:
        key = key or self.keys[0]
        wanted = {
            "iss": "https://issuer",
            "aud": "rooms",
            "sub": str(ADA),
            "role": "guest",
            "exp": self.now + 60,
        }
        wanted = {name: value for name, value in (wanted | claims).items() if value is not None}
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": key.kid} | (header or {})
        return jwt.encode(header, wanted, key, [header["alg"]])

    def verifier(self, **settings: Any) -> TokenVerifier:
        where = ("http://issuer/jwks", "https://issuer", "rooms")
        return TokenVerifier(*where, http=self.http, clock=lambda: self.now, **settings)


ALGORITHM = "ES256"


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def new_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": ALGORITHM})


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    yield issuer
    await issuer.http.aclose()


async def test_a_good_token_names_the_caller(issuer: Issuer) -> None:
    token = issuer.token(role="admin", email="ada@example.org")
    assert await issuer.verifier().verify(token) == Principal(ADA, "admin", "ada@example.org", token)


async def test_the_token_is_not_in_what_is_printed_of_a_caller(issuer: Issuer) -> None:
    token = issuer.token()
    assert token not in repr(await issuer.verifier().verify(token))


async def test_one_of_several_audiences_is_enough(issuer: Issuer) -> None:
    assert await issuer.verifier().verify(issuer.token(aud=["elsewhere", "rooms"]))


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://somebody"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "kitchens"},
    "a longer audience": {"aud": "rooms-and-more"},
    "no audience": {"aud": None},
    "no expiry": {"exp": None},
    "an expiry in words": {"exp": "tomorrow"},
    "expired": {"exp": NOW - 11},
    "not valid yet": {"nbf": NOW + 11},
    "no subject": {"sub": None},
    "a subject that is no UUID": {"sub": "ada"},
    "a subject that is a number": {"sub": 7},
    "no role": {"role": None},
    "an empty role": {"role": ""},
    "a list of roles": {"role": ["admin"]},
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
async def test_a_token_with_wrong_claims_is_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        await issuer.verifier().verify(issuer.token(**claims))
    assert refusal.value.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("claims", [{"exp": NOW - 9}, {"nbf": NOW + 9}])
async def test_clocks_may_differ_a_little(issuer: Issuer, claims: dict[str, Any]) -> None:
    assert await issuer.verifier().verify(issuer.token(**claims))


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": "rt+jwt"}, {"kid": "nobody"}])
async def test_a_token_of_another_kind_or_key_is_refused(issuer: Issuer, header: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(issuer.token(header))


async def test_a_token_signed_by_somebody_else_under_a_known_name_is_refused(issuer: Issuer) -> None:
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(issuer.token(key=new_key("one")))


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384"])
async def test_a_token_that_chooses_another_algorithm_is_refused(issuer: Issuer, algorithm: str) -> None:
    header = {"alg": algorithm, "typ": "at+jwt", "kid": "one"}
    signing_input = f"{part(header)}.{issuer.token(role='admin').split('.')[1]}".encode()
    public_key = issuer.keys[0].as_pem(private=False)  # the classic mix-up: it becomes the HMAC's secret
    signature = b"" if algorithm == "none" else hmac.digest(public_key, signing_input, "sha256")
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(f"{signing_input.decode()}.{urlsafe_b64encode(signature).decode()}")


async def test_a_published_key_of_an_algorithm_that_is_not_allowed_is_of_no_use(issuer: Issuer) -> None:
    rsa = RSAKey.generate_key(2048, {"kid": "rsa"})
    issuer.keys = [rsa]
    token = issuer.token({"alg": "RS256"})
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(token)
    assert await issuer.verifier(algorithms=["RS256"]).verify(token)


async def test_a_key_that_the_token_brings_along_counts_for_nothing(issuer: Issuer) -> None:
    mine = new_key("mine")
    token = issuer.token({"jwk": mine.as_dict(private=False)}, key=mine)
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(token)


@given(st.one_of(st.text(), st.lists(st.text("ABCeyJhbGciOi_-", max_size=60), max_size=5).map(".".join)))
@settings(max_examples=200, deadline=None)
def test_no_rubbish_gets_further_than_a_refusal(text: str) -> None:
    async def verify() -> None:
        with pytest.raises(Unauthenticated):
            await Issuer().verifier().verify(text)

    asyncio.run(verify())


async def test_a_changed_payload_is_refused(issuer: Issuer) -> None:
    guest, admin = issuer.token(role="guest").split("."), issuer.token(role="admin").split(".")
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(".".join((guest[0], admin[1], guest[2])))


async def test_many_callers_at_the_start_fetch_the_keys_once(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    await asyncio.gather(*(verifier.verify(issuer.token(jti=str(n))) for n in range(20)))
    assert issuer.asked == 1


async def test_a_caller_who_leaves_does_not_take_the_fetch_along(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    leaving = asyncio.create_task(verifier.verify(issuer.token(jti="1")))
    staying = asyncio.create_task(verifier.verify(issuer.token(jti="2")))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).id == ADA
    assert issuer.asked == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10)
    await verifier.verify(issuer.token())
    issuer.keys.insert(0, new_key("two"))
    issuer.now += 10
    assert await verifier.verify(issuer.token())
    assert issuer.asked == 2


async def test_unknown_keys_do_not_make_us_ask_all_the_time(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10)
    await verifier.verify(issuer.token())
    for step in range(20):
        issuer.now = NOW + step
        with pytest.raises(Unauthenticated):
            await verifier.verify(issuer.token({"kid": f"made up {step}"}))
    assert issuer.asked == 2


async def test_without_any_keys_a_token_is_neither_good_nor_bad(issuer: Issuer) -> None:
    issuer.away = True
    with pytest.raises(Unavailable) as refusal:
        await issuer.verifier().verify(issuer.token())
    assert refusal.value.headers["Retry-After"] == "1"


async def test_keys_are_asked_for_again_soon_after_a_failure(issuer: Issuer) -> None:
    verifier = issuer.verifier(retry_every=1)
    issuer.away = True
    for _ in range(5):
        with pytest.raises(Unavailable):
            await verifier.verify(issuer.token())
    assert issuer.asked == 1
    issuer.away = False
    issuer.now += 1
    assert await verifier.verify(issuer.token())


async def test_keys_at_hand_outlive_the_issuer_for_a_while_only(issuer: Issuer) -> None:
    verifier = issuer.verifier(max_age=300, stale_for=3600)
    await verifier.verify(issuer.token())
    issuer.away = True
    issuer.now = NOW + 3600
    assert await verifier.verify(issuer.token())
    issuer.now = NOW + 3700
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token())


async def test_old_keys_are_renewed_without_anybody_waiting(issuer: Issuer) -> None:
    verifier = issuer.verifier(max_age=300)
    await verifier.verify(issuer.token())
    issuer.was_asked.clear()
    issuer.now += 301
    await verifier.verify(issuer.token())
    assert not issuer.was_asked.is_set()
    async with asyncio.timeout(5):
        await issuer.was_asked.wait()


async def test_a_withdrawn_key_is_not_believed_even_for_tokens_seen_before(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10)
    token = issuer.token()
    await verifier.verify(token)
    issuer.keys = [new_key("two")]
    issuer.now += 10
    assert await verifier.verify(token)
    await verifier.verify(issuer.token())
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_a_token_is_verified_once_until_it_expires(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    token = issuer.token()
    assert await verifier.verify(token) is await verifier.verify(token)
    issuer.now += 71
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_no_more_tokens_are_remembered_than_was_said(issuer: Issuer) -> None:
    verifier = issuer.verifier(remember=2)
    tokens = [issuer.token(jti=str(n)) for n in range(3)]
    first, second, _ = [await verifier.verify(token) for token in tokens]
    assert await verifier.verify(tokens[1]) is second
    assert await verifier.verify(tokens[0]) is not first


@pytest.fixture
async def client(issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.verifier = issuer.verifier()
    install(app)

    @app.get("/me")
    async def me(caller: Caller) -> UUID:
        return caller.id

    @app.get("/keys")
    async def keys(_: Annotated[Principal, Depends(require("admin", "porter"))]) -> str:
        return "here"

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rooms") as client:
        yield client


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_request_is_answered_to_who_it_comes_from(client: httpx.AsyncClient, issuer: Issuer) -> None:
    response = await client.get("/me", headers=bearing(issuer.token()))
    assert response.json() == str(ADA)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer"}])
async def test_a_request_without_a_token_is_challenged(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await client.get("/me", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


async def test_what_a_gateway_says_about_the_caller_is_not_believed(client: httpx.AsyncClient) -> None:
    response = await client.get("/me", headers={"x-consumer-custom-id": str(ADA), "x-userinfo": "e30="})
    assert response.status_code == 401


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("porter", 200), ("guest", 403)])
async def test_a_route_can_ask_for_a_role(
    client: httpx.AsyncClient, issuer: Issuer, role: str, status: int
) -> None:
    response = await client.get("/keys", headers=bearing(issuer.token(role=role)))
    assert response.status_code == status


async def test_the_document_offers_a_password_and_a_token(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    assert schemes["password"]["flows"]["password"]["tokenUrl"] == "/v1/token"
    assert schemes["bearer"]["scheme"] == "bearer"
    assert document["paths"]["/me"]["get"]["security"] == [{"password": []}, {"bearer": []}]
    assert {"401", "403", "503"} <= set(document["paths"]["/me"]["get"]["responses"])
