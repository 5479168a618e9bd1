"""`shop generate`: regenerate the documents that are derived from the code."""

from typing import Annotated

import typer

from shop import documents
from shop.errors import ShopError
from shop.project import project_root
from shop.services import PARTICIPANTS


def generate(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a document is out of date.")
    ] = False,
) -> None:
    """Regenerate schemas, AsyncAPI, SAGA.md and the broker's definitions from the code."""
    root = project_root()
    if not check:
        for name in documents.write(root, PARTICIPANTS):
            print(f"wrote {name}")
        return
    if found := [*documents.stale(root, PARTICIPANTS), *documents.incompatible(root)]:
        raise ShopError("out of date, run `shop generate`: " + ", ".join(found))
