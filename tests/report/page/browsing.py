"""Chromium, and what tests ask of a page in it."""

import shutil
from collections.abc import Callable
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1280,900",
)  # fmt: skip


def texts(driver: Any, selector: str) -> list[str]:
    """The texts of the elements that a selector finds."""
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
    found: list[str] = driver.execute_script(script, selector)
    return found


def wait(driver: Any, until: Callable[[Any], Any]) -> None:
    """Wait for something that must happen; after a minute it has failed."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 60).until(until)


def example_is_shown(driver: Any) -> bool:
    """Whether the page has put in its first example, where it has any."""
    return not texts(driver, "form.examples") or texts(driver, "#where") != [""]
