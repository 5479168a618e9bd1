"""A cart's version in HTTP: in the `ETag` of what is read, and in the `If-Match` of a change, so that a page
that shows an old cart does not overwrite a newer one.

An ETag names the bytes of one response, which also change with prices and stock; so it is the version and a
digest of the response. A change compares the version alone. Source: RFC 9110, sections 8.8 and 13.1.1.
"""

import hashlib
import re
from typing import Annotated

from fastapi import Depends, Header

_TAG = re.compile(r'"(\d{1,18})(?:-[0-9a-f]+)?"')


def etag(version: int, content: bytes) -> str:
    """A strong ETag."""
    return f'"{version}-{hashlib.blake2b(content, digest_size=12).hexdigest()}"'


def _expected_versions(
    if_match: Annotated[
        str | None,
        Header(
            max_length=1000,
            description="The `ETag` of the cart that is to be changed, or its `version` in quotes: 412 if it"
            " has changed since.",
            examples=['"7"'],
        ),
    ] = None,
) -> frozenset[int] | None:
    """The versions that the header allows; `None` if it allows any. Weak tags allow none."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = (_TAG.fullmatch(tag.strip()) for tag in if_match.split(","))
    return frozenset(int(tag[1]) for tag in found if tag)


ExpectedVersions = Annotated[frozenset[int] | None, Depends(_expected_versions)]
"""The type of a route's parameter for the versions that may be changed."""
