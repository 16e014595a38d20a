"""A real Chromium for the page tests, and a page that remembers what went wrong in it."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from e2e.running import owner_cookie
from mrmarket.services.api.pages import WEB_ROOT

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or ""
SCREENS: Final = Path(__file__).resolve().parents[2] / ".artifacts" / "screens"

PATIENCE_MS: Final = 60_000
"""How long the page may take to show something on a machine that has other work to do."""
expect.set_options(timeout=PATIENCE_MS)

needs_pages = pytest.mark.skipif(
    not (WEB_ROOT / "index.html").exists(), reason="needs the built pages (make setup)"
)
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium (apt-get install chromium)")

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; it speaks to nothing but the instance."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        yield browser
        browser.close()


class Desk:
    """The open page.

    `complaints` collects what the console and the scripts complain about, `scripts` the paths of all scripts
    that were asked for.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.scripts: set[str] = set()
        page.on("request", lambda request: self._note(request.url))
        page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, address: str) -> None:
        if address.endswith(".js"):
            self.scripts.add(address.removeprefix(f"{self.url}/"))

    def script_bytes(self) -> int:
        """Size of all scripts that were asked for, compressed."""
        return sum(len(gzip.compress((WEB_ROOT / one).read_bytes())) for one in self.scripts)

    def load(self, section: str = "market", live: str = "live") -> None:
        """Open a section and wait until the data is as old as expected."""
        self.page.goto(f"{self.url}/desk#{section}")
        self.page.locator(f"[data-live={live}]").wait_for()

    def panel(self, title: str) -> Locator:
        """A panel by its title."""
        return self.page.get_by_role("region", name=title, exact=True).first

    def barriers(self) -> list[str]:
        """What axe finds wrong, one line a rule."""
        return [
            f"{rule['id']}: {rule['nodes'][0]['target']} {rule['nodes'][0].get('failureSummary', '')}"
            for rule in Axe().run(self.page).response["violations"]
        ]

    def agrees(self, route: str, expression: str, timeout_ms: float = PATIENCE_MS) -> None:
        """Wait until the page shows what the API answers at the same moment.

        `expression` is JavaScript over `api`, the answer, and `shown(where)`, the exact figures on the
        page below a selector.
        """
        self.page.wait_for_function(
            f"""async () => {{
                const api = await (await fetch('/api/v1{route}')).json();
                const all = (where) => [...document.querySelectorAll(where)];
                const shown = (where) => all(`${{where}} data`).map((one) => one.value);
                return {expression};
            }}""",
            timeout=timeout_ms,
            polling=150,
        )

    def answer(self, route: str) -> Any:
        """What the API answers to the page."""
        return self.page.evaluate("async (path) => (await fetch(path)).json()", f"/api/v1{route}")

    def keep_screen(self, name: str) -> None:
        """Keep a picture for people to look at."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


@contextmanager
def desk(
    browser: Browser,
    url: str,
    *,
    theme: str = "light",
    width: int = 1440,
    locale: str = "en-GB",
    owner: bool = True,
    person: str | None = None,
) -> Iterator[Desk]:
    """Open a fresh browser profile on an instance, signed in as its owner, as a demo person or as nobody."""
    context = browser.new_context(
        viewport={"width": width, "height": 900 if width > 500 else 844},
        color_scheme="dark" if theme == "dark" else "light",
        locale=locale,
        timezone_id="UTC",
        accept_downloads=True,
    )
    context.set_default_timeout(PATIENCE_MS)
    if person is not None:
        answer = context.request.post(f"{url}/api/v1/auth/demo", data={"name": person})
        assert answer.ok, answer.text()
    elif owner:
        name, value = owner_cookie(url)
        context.add_cookies([{"name": name, "value": value, "url": url}])
    try:
        yield Desk(context.new_page(), url)
    finally:
        context.close()
