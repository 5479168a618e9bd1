"""The endpoints of what an account does with itself: its password, its sessions, its address, its end."""

from typing import Annotated

from fastapi import APIRouter, Depends

from auth.account_deletion import AccountDeletion
from auth.confirmation import Confirmations
from auth.logins import Logins
from auth.password_changes import PasswordChanges
from auth.schemas import (
    ELSEWHERE,
    AccountExport,
    Confirmation,
    Deletion,
    MergedGuestRecord,
    PasswordChange,
    PasswordReset,
    ResetRequest,
    SavedAddress,
    SessionRecord,
    User,
)
from auth.store import Accounts
from chassis.http.identity import Principal, require
from chassis.http.origin import FromWhere
from chassis.http.problems import RESPONSES, NotFound
from chassis.http.provided import Provided

router = APIRouter(tags=["accounts"])

AccountHolder = Annotated[Principal, Depends(require("account:write"))]


@router.post(
    "/v1/password-resets",
    summary="Ask for a new password",
    status_code=202,
    responses={status: RESPONSES[status] for status in (422, 429)},
)
async def request_reset(wanted: ResetRequest, origin: FromWhere, changes: Provided[PasswordChanges]) -> None:
    """Mails a token to the address if it has an account; the answer is the same if not. The token is valid
    for an hour. At most three such mails go to an address within a quarter of an hour."""
    await changes.request_reset(wanted.email, origin)


@router.post(
    "/v1/password-resets/complete",
    summary="Choose a new password",
    status_code=204,
    responses={status: RESPONSES[status] for status in (422, 503)},
)
async def reset_password(new: PasswordReset, origin: FromWhere, changes: Provided[PasswordChanges]) -> None:
    """With the token of the mail, once. Ends all sessions, and confirms the address. An unknown, an expired
    and a used token get the same 422."""
    await changes.reset(new.token.get_secret_value(), new.password.get_secret_value(), origin)


@router.post(
    "/v1/users/me/password",
    summary="Change the password",
    status_code=204,
    responses={status: RESPONSES[status] for status in (404, 422, 429, 503)},
)
async def change_password(
    new: PasswordChange, caller: AccountHolder, origin: FromWhere, changes: Provided[PasswordChanges]
) -> None:
    """Ends all other sessions, and mails a notice. 403 also for a wrong present password, which counts as a
    failed login."""
    kept = new.refresh_token.get_secret_value() if new.refresh_token else None
    present, password = new.password.get_secret_value(), new.new_password.get_secret_value()
    await changes.change(caller.id, present, password, kept, origin)


@router.post("/v1/users/me/logout", summary="Log out everywhere", status_code=204)
async def log_out_everywhere(caller: AccountHolder, origin: FromWhere, logins: Provided[Logins]) -> None:
    """Ends all sessions of the account. Access tokens stay valid until they expire, a quarter of an hour at
    most."""
    await logins.log_out_everywhere(caller.id, origin)


@router.get("/v1/users/me/export", summary="Take my data along", responses={404: RESPONSES[404]})
async def export(
    caller: Annotated[Principal, Depends(require("account:read"))], accounts: Provided[Accounts]
) -> AccountExport:
    """All that is known of the account, and where the rest is: each service shows its own data at its own
    path, to the same token. Source: GDPR, articles 15 and 20."""
    account = await accounts.by_id(caller.id)
    if account is None:
        raise NotFound("Account not found.")
    return AccountExport(
        account=User.of(account),
        sessions=[SessionRecord(**one) for one in await accounts.sessions(caller.id)],
        addresses=[SavedAddress(**one) for one in await accounts.addresses(caller.id)],
        guests=[MergedGuestRecord(**one) for one in await accounts.guests(caller.id)],
        elsewhere=ELSEWHERE,
    )


@router.post(
    "/v1/users/me/deletion",
    summary="Delete the account",
    status_code=204,
    responses={status: RESPONSES[status] for status in (404, 422, 429, 503)},
)
async def delete_account(
    consent: Deletion, caller: AccountHolder, origin: FromWhere, accounts: Provided[AccountDeletion]
) -> None:
    """Deletes it at once, with its sessions: its address can register again. The cart is emptied. Orders stay
    for the books without name and address: those are erased when an order is over, that is cancelled and
    refunded, or fulfilled, or 30 days after it was paid. Access tokens stay valid until they expire, a
    quarter of an hour at most. 403 also for a wrong password. Source: GDPR, article 17."""
    await accounts.delete(caller.id, consent.password.get_secret_value(), origin)


@router.post(
    "/v1/users/me/confirmation",
    summary="Ask for a mail to confirm the address",
    status_code=202,
    responses={status: RESPONSES[status] for status in (404, 409, 429)},
)
async def request_confirmation(
    caller: AccountHolder, origin: FromWhere, confirmations: Provided[Confirmations]
) -> None:
    """Another one: the mail that welcomes an account has a token, too. 409 if the address is confirmed."""
    await confirmations.request_mail(caller.id, origin)


@router.post(
    "/v1/email-confirmations",
    summary="Confirm an address",
    status_code=204,
    responses={422: RESPONSES[422]},
)
async def confirm_address(
    given: Confirmation, origin: FromWhere, confirmations: Provided[Confirmations]
) -> None:
    """With the token of the mail, once; it is valid for a week. An account may do all that it may before its
    address is confirmed, too."""
    await confirmations.confirm(given.token.get_secret_value(), origin)
