"""Renders templates in the shopper's language. All values are escaped, and a missing one is an error."""

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from storefront.locales import Language, decimal_amount

_FOLDER = Path(__file__).with_name("templates")
ASSETS = Path(__file__).with_name("assets")
PLACEHOLDER = "/pictures/placeholder.svg"


class Templates:
    """One environment for each language.

    `origin`: of the shop, for canonical links.
    """

    def __init__(self, languages: Mapping[str, Language], origin: str) -> None:
        self.codes = frozenset(languages)
        self._environments = {code: _environment(one) for code, one in languages.items()}
        for environment in self._environments.values():
            environment.globals.update(
                languages=list(languages.values()),
                origin=origin,
                asset=asset,
                picture=picture,
                category_name=category_name,
            )

    def render(self, language: Language, name: str, values: Mapping[str, Any]) -> str:
        return self._environments[language.code].get_template(name).render(values)


def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]
    environment.filters.update(moment=language.moment)
    environment.globals.update(language=language, money=language.money, decimal_amount=decimal_amount)
    return environment


@cache
def asset(name: str) -> str:
    """The path of a file, with its content's hash: a changed file has another path."""
    digest = blake2b((ASSETS / name).read_bytes(), digest_size=6).hexdigest()
    return f"/assets/{name}?v={digest}"


def picture(product: Mapping[str, Any]) -> str:
    """The path of a product's picture, or of a drawing that stands for one."""
    return str(product.get("picture") or PLACEHOLDER)


def category_name(category: str) -> str:
    """As the pages show it, with a capital."""
    return category[:1].upper() + category[1:]
