"""The pages of campaigns, of a reward's way, and of the owner's partners, made up, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from e2e import admin_fake, page_fake
from e2e.admin_fake import TroubledMoney
from e2e.page_browser import Desk, chromium, desk, needs_chromium, needs_pages
from e2e.page_fake import MadeUpInstance
from e2e.page_money_fake import MadeUpMoney
from mrmarket.services.api import partner_schema as schema
from services.partners_fake import CAMPAIGN, ENTRY, EXPLORER, PAYOUT_TX, FakePartners

pytestmark = [pytest.mark.e2e, needs_pages, needs_chromium]

DRESSES = [("light", 390, "en"), ("dark", 390, "zh"), ("light", 1440, "zh"), ("dark", 1440, "en")]
LOCALES = {"en": "en-GB", "zh": "zh-CN"}


class Nobody(FakePartners):
    """Nobody is configured, and no campaign is known."""

    async def campaigns(self) -> schema.CampaignBoard:
        """Ten empty columns."""
        board = await super().campaigns()
        for column in board.columns:
            column.cards = []
        return board

    async def partners(self) -> schema.PartnersView:
        """Nothing."""
        return schema.PartnersView(
            at_ms=0, configured=False, chains=[], vaults=[], mixin=None, hufi=None,
            sweeps=schema.SweepsView(plans=[], under_way=[]), can_sweep=False, can_wish=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """One instance with depositors for all tests here."""
    with page_fake.serving(MadeUpInstance(), money=MadeUpMoney()) as address:
        yield address


def is_sound(pages: Desk, name: str) -> None:
    """Nothing is loading or undefined, nothing axe finds, no sideways scrolling."""
    expect(pages.page.locator("main [aria-busy=true]")).to_have_count(0)
    expect(pages.page.locator("main")).not_to_contain_text("undefined")
    assert pages.barriers() == []
    assert pages.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pages.keep_screen(name)


@pytest.mark.parametrize(("theme", "width", "language"), DRESSES)
def test_users_pages_are_clean_in_every_dress(
    browser: Browser, url: str, theme: str, width: int, language: str
) -> None:
    """The board, one campaign, and a reward's six steps."""
    dress = f"{theme}-{width}-{language}"
    with desk(browser, url, theme=theme, width=width, locale=LOCALES[language], person="alice") as pages:
        page = pages.page
        page.goto(f"{url}/campaigns")
        expect(page.locator("article.campaign")).to_have_count(4)
        is_sound(pages, f"campaigns-{dress}")
        page.locator("article.campaign[data-stage=active] a").click()
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "65")
        is_sound(pages, f"campaign-{dress}")
        page.goto(f"{url}/rewards/of-alice")
        expect(page.locator("[data-step]")).to_have_count(6)
        expect(page.locator("[data-step=receipt]")).to_have_attribute("data-state", "now")
        is_sound(pages, f"reward-{dress}")
        assert pages.complaints == []


@pytest.mark.parametrize(("theme", "width", "language"), DRESSES)
def test_the_owners_page_is_clean_in_every_dress(
    browser: Browser, theme: str, width: int, language: str
) -> None:
    """Campaigns, what waits in the vault, chains, vault, Mixin, HuFi; and the sheet of one campaign."""
    dress = f"{theme}-{width}-{language}"
    with (
        admin_fake.serving(TroubledMoney()) as address,
        desk(browser, address, theme=theme, width=width, locale=LOCALES[language]) as pages,
    ):
        page = pages.page
        page.goto(f"{address}/admin/partners")
        page.get_by_role("button", name="HMT/USDT · mexc").wait_for()
        is_sound(pages, f"partners-{dress}")
        page.get_by_role("button", name="HMT/USDT · mexc").click()
        expect(page.get_by_role("dialog").get_by_role("progressbar")).to_be_visible()
        assert pages.barriers() == []
        pages.keep_screen(f"partners-sheet-{dress}")
        assert pages.complaints == []


def test_a_transaction_leads_to_the_explorer_and_a_credit_to_ones_own_books(
    browser: Browser, url: str
) -> None:
    """Links are there where an explorer is configured; another account's entry is a number and no link."""
    with desk(browser, url, person="alice") as pages:
        page = pages.page
        page.goto(f"{url}/rewards/of-alice")
        payment = page.locator("[data-step=transaction] a")
        expect(payment).to_have_attribute("href", f"{EXPLORER}{PAYOUT_TX}")
        expect(page.locator("[data-step=credit] a")).to_have_attribute("href", "/history/entries/415")
        expect(page.locator("[data-step=entry] a")).to_have_count(0)
        page.goto(f"{url}/rewards/of-bob")
        expect(page.get_by_role("alert").first).to_contain_text("there is no allocation")


def test_the_list_of_rewards_leads_to_each_ones_way(browser: Browser, url: str) -> None:
    """From the calendar's page with the keyboard alone."""
    with desk(browser, url, person="alice") as pages:
        page = pages.page
        page.goto(f"{url}/rewards")
        link = page.get_by_role("link", name="Show:").first
        link.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/rewards/run*")


def test_the_owner_decides_on_a_campaign_and_sends_on_what_waits(browser: Browser) -> None:
    """Each is asked once more before it is done, and reaches whoever carries it out."""
    partners = FakePartners()
    with (
        admin_fake.serving(TroubledMoney(), partners=partners) as address,
        desk(browser, address) as pages,
    ):
        page = pages.page
        page.goto(f"{address}/admin/partners")
        page.get_by_role("button", name="HMT/USDT · mexc").click()
        page.get_by_role("button", name="Leave", exact=True).click()
        page.get_by_role("dialog").last.get_by_role("button", name="Leave", exact=True).click()
        expect(page.get_by_role("dialog", name="HMT/USDT · mexc")).to_contain_text("stay away")
        assert partners.asked == [(CAMPAIGN, "leave", "owner")]
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Send on now").click()
        page.get_by_role("dialog").get_by_role("button", name="Send on now").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert partners.asked[-1] == ("", "sweep", "owner")
        page.goto(f"{address}/admin/rewards/{ENTRY}")
        expect(page.locator("[data-step]")).to_have_count(6)
        expect(page.locator("[data-step=entry] a")).to_have_attribute("href", "/admin/ledger/412")


def test_where_nobody_is_configured_the_pages_say_so(browser: Browser) -> None:
    """No invented figure, and one sentence about what to do."""
    with (
        admin_fake.serving(TroubledMoney(), partners=Nobody()) as address,
        desk(browser, address) as pages,
    ):
        page = pages.page
        page.goto(f"{address}/admin/partners")
        expect(page.locator("main")).to_contain_text("No partner is configured.")
        expect(page.locator("main table")).to_have_count(0)
        page.goto(f"{address}/campaigns")
        expect(page.locator("main")).to_contain_text("No campaign is known here.")
        is_sound(pages, "campaigns-none")
