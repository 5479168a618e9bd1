"""The HTTP models of auth: JSON for accounts and guests, forms for tokens."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from auth.domain import Account
from chassis.http.problems import NO_NUL, Body
from contracts import MailAddress, PostalAddress

Email = Annotated[MailAddress, AfterValidator(str.lower)]


def _unicode(password: SecretStr) -> SecretStr:
    try:
        password.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode, without lone surrogates") from None
    return password


NewPassword = Annotated[
    SecretStr,
    AfterValidator(_unicode),
    Field(min_length=8, max_length=256, description="Any characters; long beats complicated."),
]
PresentPassword = Annotated[SecretStr, AfterValidator(_unicode), Field(min_length=1, max_length=1024)]
MailedTokenText = Annotated[SecretStr, Field(min_length=1, max_length=200, description="Of the mail.")]


class NewAccount(Body):
    """A new account."""

    email: Email
    password: NewPassword


class ResetRequest(Body):
    """Whose password is to be reset."""

    email: Email


class PasswordReset(Body):
    """A new password, by the token that was mailed."""

    token: MailedTokenText
    password: NewPassword


class PasswordChange(Body):
    """A new password in place of the present one."""

    password: Annotated[PresentPassword, Field(description="The present password.")]
    new_password: NewPassword
    refresh_token: Annotated[
        SecretStr | None,
        Field(max_length=512, description="Of the session that stays; without it all sessions end."),
    ] = None


class Deletion(Body):
    """The consent to the deletion of the account."""

    password: Annotated[PresentPassword, Field(description="The account's.")]


class Confirmation(Body):
    """The token that was mailed to the address."""

    token: MailedTokenText


class User(BaseModel):
    """An account, for its owner."""

    id: UUID
    email: str
    role: str = Field(description="`shopper`, `warehouse` or `admin`.")
    registered_at: datetime
    email_verified: bool = Field(description="Whether the owner has used a token that was mailed to it.")

    @classmethod
    def of(cls, account: Account) -> "User":
        return cls(
            id=account.account_id,
            email=account.email,
            role=account.role,
            registered_at=account.registered_at,
            email_verified=account.email_verified_at is not None,
        )


class AddressToSave(Body):
    """An address for the address book."""

    address: PostalAddress
    is_default: Annotated[bool, Field(description="Whether it becomes the default.")] = False


class SavedAddress(BaseModel):
    """An address of the address book; `address` is as a checkout takes it."""

    address_id: UUID
    address: dict[str, str] = Field(description="The parts of the address; a missing one is empty.")
    is_default: bool
    saved_at: datetime


class SavedAddresses(BaseModel):
    """An account's address book."""

    items: list[SavedAddress]


class SessionRecord(BaseModel):
    """A login."""

    started_at: datetime
    renewed_at: datetime | None
    expires_at: datetime
    ended_at: datetime | None


class MergedGuestRecord(BaseModel):
    """A guest who became the account by logging in."""

    guest_id: UUID
    merged_at: datetime


class Elsewhere(BaseModel):
    """Where another service has data about the account."""

    what: str
    href: str = Field(description="To be read with the same token.")


ELSEWHERE = [
    Elsewhere(what="The orders, with where they were shipped to, page by page.", href="/v1/orders"),
    Elsewhere(what="The cart.", href="/v1/cart/lines"),
]


class AccountExport(BaseModel):
    """All that is known of an account, besides its password's hash and what is `elsewhere`."""

    account: User
    sessions: list[SessionRecord] = Field(description="Until they have expired.")
    addresses: list[SavedAddress]
    guests: list[MergedGuestRecord] = Field(description="Of the last days; later only the orders show them.")
    elsewhere: list[Elsewhere]


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
