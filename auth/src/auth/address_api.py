"""The endpoints of an account's address book."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from auth.address_book import AddressBook
from auth.schemas import AddressToSave, SavedAddress, SavedAddresses
from chassis.http.identity import Principal, require
from chassis.http.problems import RESPONSES, Unprocessable
from chassis.http.provided import Provided

router = APIRouter(prefix="/v1/users/me/addresses", tags=["accounts"])

AddressReader = Annotated[Principal, Depends(require("account:read"))]
AddressHolder = Annotated[Principal, Depends(require("account:write"))]


@router.get("", summary="List my addresses", responses={404: RESPONSES[404]})
async def list_addresses(caller: AddressReader, book: Provided[AddressBook]) -> SavedAddresses:
    """All of them, at most 20: the default first, then the one that was saved last. Guests have none."""
    return SavedAddresses(items=[SavedAddress(**one) for one in await book.read(caller.id)])


@router.put(
    "/{address_id}",
    summary="Save an address",
    responses={status: RESPONSES[status] for status in (404, 409, 422)},
)
async def put_address(
    address_id: UUID, wanted: AddressToSave, caller: AddressHolder, book: Provided[AddressBook]
) -> SavedAddress:
    """Creates it, or replaces what is there. The client chooses the id, a UUID that is random or made from
    the time, so that a repeated request saves no second one. The first address is the default, until another
    is saved with `is_default`. 409 at more than 20."""
    if wanted.address.lacks_postcode:
        detail = f"Required: an address in {wanted.address.country} needs a postcode."
        raise Unprocessable(
            "The request is not valid.", errors=[{"pointer": "/address/postcode", "detail": detail}]
        )
    address = wanted.address.model_dump()
    return SavedAddress(**await book.put(caller.id, address_id, address, is_default=wanted.is_default))


@router.delete("/{address_id}", summary="Remove an address", status_code=204, responses={404: RESPONSES[404]})
async def remove_address(address_id: UUID, caller: AddressHolder, book: Provided[AddressBook]) -> None:
    """Idempotent: removing an address that is not there has no effect. If it was the default, the one that
    was saved last becomes it. Orders keep the address that they were placed with."""
    await book.remove(caller.id, address_id)
