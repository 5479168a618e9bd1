"""The HTTP models of auth: JSON for accounts and guests, forms for tokens."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from auth.domain import Account
from chassis.http.problems import NO_NUL, Body
from contracts import MailAddress

Email = Annotated[MailAddress, AfterValidator(str.lower)]


def _unicode(password: SecretStr) -> SecretStr:
    try:
        password.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode, without lone surrogates") from None
    return password


class NewAccount(Body):
    """A new account."""

    email: Email
    password: Annotated[
        SecretStr,
        AfterValidator(_unicode),
        Field(min_length=8, max_length=256, description="Any characters; long beats complicated."),
    ]


class User(BaseModel):
    """An account, for its owner."""

    id: UUID
    email: str
    role: str = Field(description="`shopper` or `admin`.")
    registered_at: datetime

    @classmethod
    def of(cls, account: Account) -> "User":
        return cls(
            id=account.account_id,
            email=account.email,
            role=account.role,
            registered_at=account.registered_at,
        )


class Guest(BaseModel):
    """A guest's identity. It exists only as this token: keep it."""

    access_token: str
    token_type: str = Field(examples=["Bearer"])
    expires_in: int = Field(description="Seconds; a guest token cannot be refreshed.")
    guest_id: UUID


class PasswordGrant(BaseModel):
    """A login. OAuth's other fields (`scope`, `client_id`) are ignored, as RFC 6749 demands."""

    grant_type: Annotated[str, Field(max_length=50, description="`password`.")] = "password"
    username: Annotated[
        str, Field(min_length=1, max_length=320, pattern=NO_NUL, description="The e-mail address.")
    ]
    password: Annotated[str, Field(min_length=1, max_length=1024)]
    guest_token: Annotated[
        str | None,
        Field(
            max_length=4096,
            description="The access token that the shopper had as a guest: that cart is merged into the"
            " account's. It may also be sent as the bearer token. An invalid one is ignored.",
        ),
    ] = None


class RefreshGrant(BaseModel):
    """A refresh. Using a token again, more than ten seconds after the first time, ends the session."""

    grant_type: Annotated[str, Field(max_length=50, description="`refresh_token`.")] = "refresh_token"
    refresh_token: Annotated[str, Field(min_length=1, max_length=512)]


class Logout(BaseModel):
    """Any refresh token of the session."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=512)]


class Tokens(BaseModel):
    """An access token, to be sent as `Authorization: Bearer …`, and a refresh token to get the next one
    with."""

    access_token: str
    token_type: str = Field(examples=["Bearer"])
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str
    scope: str = Field(description="What the account may do beyond its own cart and orders.")
