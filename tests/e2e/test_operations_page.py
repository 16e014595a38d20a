"""The owner's Operations page, made up and on the embedded exchange, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from e2e.admin_fake import TroubledMoney, serving
from e2e.operations_fake import TroubledOperations
from e2e.page_browser import Desk, chromium, desk, needs_chromium, needs_pages
from e2e.running import start_instance, wait_until
from services.operations_fake import RUN, FakeOperations

pytestmark = [pytest.mark.e2e, needs_pages, needs_chromium]

PHONE, DESKTOP = 390, 1440
HEADINGS = {"en": "Operations", "zh": "运行"}
HOLD_MS = 1_300


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with chromium() as running:
        yield running


def visit(pages: Desk) -> None:
    """Open the page and wait until nothing on it is loading."""
    pages.page.goto(f"{pages.url}/admin/operations")
    pages.page.get_by_role("heading", level=1).wait_for()
    pages.page.locator("[data-part=engines]").wait_for()
    expect(pages.page.locator("[aria-busy=true]")).to_have_count(0)


def hold(pages: Desk, name: str) -> None:
    """Hold a button until it acts."""
    pages.page.get_by_role("button", name=name, exact=True).last.click(delay=HOLD_MS)


def shifts(pages: Desk) -> float:
    """How much the page has moved under the reader so far."""
    found: float = pages.page.evaluate(
        """new Promise((done) => {
            let sum = 0;
            new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
            }).observe({ type: 'layout-shift', buffered: true });
            requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
        })"""
    )
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_operations_are_clean_in_every_dress(browser: Browser, theme: str, width: int, language: str) -> None:
    """With every trouble shown: no console error, nothing axe finds, no sideways scrolling."""
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    with (
        serving(TroubledMoney(), operations=TroubledOperations()) as url,
        desk(browser, url, theme=theme, width=width, locale=locale) as pages,
    ):
        visit(pages)
        expect(pages.page.get_by_role("heading", level=1)).to_have_text(HEADINGS[language])
        expect(pages.page.locator("main")).not_to_contain_text("undefined")
        assert pages.barriers() == []
        assert pages.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        pages.keep_screen(f"operations-{theme}-{width}-{language}")
        pages.page.get_by_role("button", name=RUN).click()
        expect(pages.page.get_by_role("dialog")).to_be_visible()
        assert pages.barriers() == []
        pages.keep_screen(f"operations-{theme}-{width}-{language}-run")
        assert pages.complaints == []


def test_the_strip_says_what_is_not_well(browser: Browser) -> None:
    """Each part has its own tone, and parts that are not ready are added by name."""
    with serving(TroubledMoney(), operations=TroubledOperations()) as url, desk(browser, url) as pages:
        visit(pages)
        tones = {
            part.get_attribute("data-part"): part.get_attribute("data-tone")
            for part in pages.page.locator("[data-part]").all()
        }
        assert tones == {
            "engines": "warn",
            "venues": "bad",
            "database": "good",
            "angel": "good",
            "ledger": "good",
            "lease": "bad",
        }
        limits = pages.panel("Restrictions")
        expect(limits).to_contain_text("needs you")
        expect(limits).to_contain_text("by itself, not before")
        expect(pages.panel("Exchange keys")).to_contain_text("empties the account")


def test_the_kill_switch_is_on_every_page_and_wants_holding(browser: Browser) -> None:
    """A short press asks in words and does nothing by itself; holding halts, and lifting asks first."""
    operations = FakeOperations()
    with serving(TroubledMoney("well"), operations=operations) as url, desk(browser, url) as pages:
        for name in ("money", "users", "ledger", "operations"):
            pages.page.goto(f"{url}/admin/{name}")
            expect(pages.page.get_by_role("button", name="Halt everything")).to_be_visible()
        pages.page.get_by_role("button", name="Halt everything").click()
        expect(pages.page.get_by_role("dialog")).to_contain_text("on every exchange")
        pages.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        assert operations.asked == []
        pages.page.get_by_role("button", name="Halt everything").click(delay=HOLD_MS)
        switch = pages.page.get_by_role("region", name="Kill switch")
        expect(switch).to_contain_text("Everything is halted")
        assert operations.asked == [("instance", "halt", "owner")]
        switch.get_by_role("button", name="Allow trading").click()
        pages.page.get_by_role("dialog").get_by_role("button", name="Allow trading").click()
        expect(switch).to_contain_text("is not pulled")
        assert pages.complaints == []


def test_a_halt_without_the_database_says_so(browser: Browser) -> None:
    """The switch works, and what is not written down is told."""
    operations = FakeOperations()
    operations.away = True
    with serving(TroubledMoney("well"), operations=operations) as url, desk(browser, url) as pages:
        visit(pages)
        expect(pages.page.locator("[data-part=database]")).to_have_attribute("data-tone", "bad")
        hold(pages, "Halt everything")
        expect(pages.page.get_by_role("region", name="Kill switch")).to_contain_text("Everything is halted")
        expect(pages.page.locator("main")).to_contain_text("the database does not know of it")


def test_a_recovery_waits_for_the_owners_word(browser: Browser) -> None:
    """The checklist says what is to be done; resuming asks first and lifts what was held."""
    operations = TroubledOperations()
    with serving(TroubledMoney(), operations=operations) as url, desk(browser, url) as pages:
        visit(pages)
        steps = pages.panel("Recovery checklist")
        expect(steps.locator("[data-state=action]")).to_have_count(1)
        steps.get_by_role("button", name="Let the engines trade again").click()
        pages.page.get_by_role("dialog").get_by_role("button", name="Let the engines trade again").click()
        expect(steps.get_by_role("button", name="Let the engines trade again")).to_have_count(0)
        assert ("instance", "resume", "owner") in operations.asked


def test_differences_that_are_gone_come_when_asked_for(browser: Browser) -> None:
    """Those that stand are shown; the box adds the others."""
    with serving(TroubledMoney(), operations=TroubledOperations()) as url, desk(browser, url) as pages:
        visit(pages)
        panel = pages.panel("Differences")
        expect(panel.locator("tbody tr")).to_have_count(1)
        panel.get_by_role("checkbox").check()
        expect(panel.locator("tbody tr")).to_have_count(2)


@pytest.mark.parametrize("state", ["paused", "limited"])
def test_users_hear_calmly_that_quotes_are_withdrawn(browser: Browser, state: str) -> None:
    """One sentence without internals, there from the first sight of the page, which does not move."""
    operations = TroubledOperations() if state == "limited" else FakeOperations()
    operations.desired = "paused"
    if state == "limited":
        operations.held = []
    with (
        serving(TroubledMoney("well"), operations=operations) as url,
        desk(browser, url, person="alice") as pages,
    ):
        pages.page.goto(f"{url}/earn")
        banner = pages.page.locator("[data-trading]")
        expect(banner).to_have_count(1)
        expect(banner).to_contain_text("your balance is unaffected")
        assert pages.barriers() == []
        assert shifts(pages) < 0.1
        pages.keep_screen(f"banner-{state}")
        assert pages.complaints == []


def test_the_owner_steers_a_real_run(browser: Browser, tmp_path: Path) -> None:
    """On the embedded exchange: pause, resume, flatten, halt and re-arm, each with its answer on the page."""
    instance = start_instance(tmp_path / "data")
    try:
        instance.set_password()
        with desk(browser, instance.url) as pages:
            visit(pages)
            page = pages.page
            table = pages.panel("Runs")
            expect(table).to_contain_text("quoting")
            page.get_by_role("button", name="Open simulated.BTCUSDT").click()
            sheet = page.get_by_role("dialog")
            sheet.get_by_role("button", name="Pause", exact=True).click()
            expect(sheet.get_by_role("button", name="Resume", exact=True)).to_be_visible()
            expect(table).to_contain_text("paused")
            sheet.get_by_role("button", name="Resume", exact=True).click()
            expect(sheet.get_by_role("button", name="Pause", exact=True)).to_be_visible()
            sheet.get_by_role("button", name="Flatten", exact=True).click(delay=HOLD_MS)
            expect(sheet).to_contain_text("on target")
            sheet.get_by_role("button", name="Halt", exact=True).click(delay=HOLD_MS)
            expect(sheet.get_by_role("button", name="Re-arm", exact=True)).to_be_visible()
            sheet.get_by_role("button", name="Re-arm", exact=True).click()
            expect(sheet.get_by_role("button", name="Re-arm", exact=True)).to_have_count(0)
            page.keyboard.press("Escape")
            page.get_by_role("button", name="Halt everything").click(delay=HOLD_MS)
            switch = page.get_by_role("region", name="Kill switch")
            expect(switch).to_contain_text("Everything is halted")
            wait_until((instance.data / "HALT").exists)
            switch.get_by_role("button", name="Allow trading").click()
            page.get_by_role("dialog").get_by_role("button", name="Allow trading").click()
            expect(switch).to_contain_text("is not pulled")
            wait_until(lambda: not (instance.data / "HALT").exists())
            page.get_by_role("button", name="What would be cancelled now?").click()
            expect(pages.panel("Angel")).to_contain_text("would be cancelled")
            pages.keep_screen("operations-real")
            assert pages.complaints == []
    finally:
        instance.interrupt()
