"""bot-detection: refuses programs that name themselves as robots in their User-Agent.

Kong's default list also reads the version behind a name; where Kong does without one, it is left out here.
"""

import re
from functools import lru_cache
from typing import Annotated, Final

from pydantic import AfterValidator

from standins.gateway.exchange import Answer, Exchange, Plugin, Strict

_REMEMBERED: Final = 1_000
# Words for robots in general. Kong spares phones called CUBOT.
_GENERAL: Final = (
    r"[Ss][Pp][Ii][Dd][Ee][Rr]",
    r"[Ss]crape",
    r"[Cc][Rr][Aa][Ww][Ll]",
    r"[^C][^Uu][Bb]ot",
    r"(?:[Aa]rchiver|[Ii]ndexer|[Bb]ot)[/ ][0-9]",
    r"/(?:[A-z]+[Bb]ot|Axtaris|fetchurl|Isara|ShopSalad|Tailsweep)[ -][0-9]",
)
# Only with a version.
_VERSIONED: Final = """
    008 Altresium Argus BaiduMobaider DNSGroup DataparkSearch EDI Goodzer Grub INGRID Infohelfer LOOQ
    PathDefender Peew PostPost Steeler VSE WebCrunch WebZIP YahooSeeker envolk sproose wminer
"""
_LIBRARIES: Final = """
    Google-HTTP-Java-Client Apache-HttpClient http%20client Python-urllib HttpMonitor TLSProber WinHTTP JNLP
"""
_NAMES: Final = """
    50.nu Aboundex altavista AppEngine-Google archiver BingPreview BlogBridge BoardReader boitho.com-dc
    BotSeer charlotte Charlotte Checklinks clumboot Daumoa favicon findlinks Flamingo_SearchEngine Genieo
    GomezAgent gonzo1 grub-client heritrix HiddenMarket holmes HooWWWer htdig Icarus6j ichiro IconSurf
    IlTrovatore InfuzApp InternetArchive Kraken Kurzor larbin LEIA LinkAider Llaut lycos
    Mediapartners-Google mogimogi mozDex netresearch Netvibes NewsGator Nutch Nymesis ObjectsSearch OOZBOT
    Orbiter PagePeeker PagesInventory PaxleFramework Pompos Read%20Later Reaper RedCarpet Retreiver Riddler
    scooter Scrapy Scrubby searchsight semanticdiscovery Simpy SimplePie SEOstats SimpleRSS SiteCon Slurp
    snappy Thumbshots.ru URL2PNG Vagabondo Web-sniffer WebThumb WhatWeb WIRE WordPress Wotbox
    www.almaden.ibm.com yacy YottaaMonitor Yowedo ZooShot ZyBorg
"""
_SPACED: Final = ("Ask Jeeves", "Google SketchUp", "Rival IQ", "Squrl Java")
_PATTERNS: Final = (
    r"facebookexternalhit/[0-9]+\.[0-9]",
    r"Google.*/\+/web/snippet",
    r"MSIE [0-9]+\.[0-9]+(?:[a-z][0-9]?)?;.* MSIECrawler",
    r"Y!J-BR[A-Z]/[0-9]",
    r"Accoona-[A-z]+-Agent",
    r"\bYeti",
    r"IP2[a-z]+Bot",
    r"jbot\b",
    r"Microsoft .*? Bot",
    r"^NING",
    r"^vortex",
    r"^voyager",
    r"^Zao",
    r"WeSEE:[A-z]",
    r"Xenu(?:.s)? Link Sleuth",
    r"Yahoo[a-z]*Seeker",
    r"Yandex\w",
)


_WORDS = (*_NAMES.split(), *_LIBRARIES.split(), *_SPACED)
_VERSIONS = "(?:" + "|".join(map(re.escape, _VERSIONED.split())) + ")/[0-9]"
_BOTS: Final = re.compile("|".join((*_GENERAL, *map(re.escape, _WORDS), _VERSIONS, *_PATTERNS)), re.ASCII)


def _plain(expression: str) -> str:
    """Raises ValueError for what PCRE and Python might read in two ways."""
    if not re.fullmatch(r"\^?(?:[A-Za-z0-9 _/;:-]|\\\.|\[[A-Za-z0-9]+\])+", expression):
        raise ValueError("write words, with [Aa] where the case may differ, and ^ for the start")
    return expression


Expression = Annotated[str, AfterValidator(_plain)]


class Config(Strict):
    allow: list[Expression]
    deny: list[Expression]


class BotDetection(Plugin):
    priority = 2500

    def __init__(self, config: Config) -> None:
        self._allow = [re.compile(expression) for expression in config.allow]
        self._deny = [*(re.compile(expression) for expression in config.deny), _BOTS]
        self._refuses = lru_cache(_REMEMBERED)(self._examine)

    async def access(self, exchange: Exchange) -> Answer | None:
        given = [value for name, value in exchange.every_header if name == b"user-agent"]
        if len(given) > 1:
            return exchange.message(400, "Only one User-Agent header allowed")
        if given and self._refuses(given[0]):
            return exchange.message(403, "Forbidden")
        return None

    def _examine(self, user_agent: bytes) -> bool:
        text = user_agent.decode("latin-1").strip()
        if any(rule.search(text) for rule in self._allow):
            return False
        return any(rule.search(text) for rule in self._deny)
