"""Finds and starts the system's Chromium; Playwright's own browsers are not downloaded."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No request of its own, and none of the sandboxes that need a user who is not root.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = "Chromium is not installed: sudo apt-get install -y chromium"


def executable() -> str:
    """Its path. Raises RuntimeError, saying how to install it, when there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise RuntimeError(MISSING)


@asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """A headless browser with nothing in it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
