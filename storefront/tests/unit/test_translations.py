"""Each text of the pages is in each language."""

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.checkers import checkers
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from storefront import locales

SOURCES = Path(locales.__file__).parent
TEXTS = {
    message
    for _, _, message, _, _ in extract_from_dir(
        SOURCES,
        method_map=[("templates/**.html", "jinja2"), ("**.py", "python")],
        options_map={"templates/**.html": {"newstyle_gettext": "true"}},
        keywords={"_": None, "ngettext": (1, 2)},
    )
}
FILES = sorted((SOURCES / "translations").glob("*.po"))


def translated(file: Path) -> Catalog:
    with file.open("rb") as source:
        return read_po(source, locale=file.stem)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_text_is_translated_and_no_other(file: Path) -> None:
    there = {message.id for message in translated(file) if message.id and _is_complete(message)}
    assert there == TEXTS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_translation_has_the_placeholders_of_its_text(file: Path) -> None:
    catalogue = translated(file)
    for message in catalogue:
        for check in checkers:
            check(catalogue, message)


def _is_complete(message: Message) -> bool:
    strings = [message.string] if isinstance(message.string, str) else message.string or [""]
    return all(strings)
