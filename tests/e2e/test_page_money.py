"""A user's pages over a real instance, in a real browser."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from playwright.sync_api import Browser, Route, expect

from e2e.page_browser import Desk, chromium, desk, needs_chromium, needs_pages
from e2e.running import OWNER_PASSWORD, RunningInstance
from mrmarket.services.api import money_schema as money

pytestmark = [pytest.mark.e2e, needs_pages, needs_chromium]

PHONE, DESKTOP = 390, 1440
USER_JS_BUDGET = 80_000
PLACES = (
    "/",
    "/earn",
    "/earn/main",
    "/rewards",
    "/history",
    "/history#moves",
    "/history#trades",
    "/history#proof",
)
VECTORS = Path(__file__).resolve().parents[2] / "web" / "src" / "lib" / "verify" / "vectors.json"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here."""
    with chromium() as running:
        yield running


def visit(open_desk: Desk, path: str) -> None:
    """Open a place and wait until nothing is loading."""
    page = open_desk.page
    page.goto(f"{open_desk.url}{path}")
    page.locator("main h1").first.wait_for()
    page.locator("main section").first.wait_for()
    page.locator("main [aria-busy=true]:visible").first.wait_for(state="detached")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_place_is_clean_in_every_dress(
    browser: Browser, instance: RunningInstance, theme: str, width: int, language: str
) -> None:
    """No console error, nothing that axe finds, no sideways scrolling, and no text of the other language."""
    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    with desk(browser, instance.url, theme=theme, width=width, locale=locale, person="alice") as open_desk:
        for path in PLACES:
            visit(open_desk, path)
            assert open_desk.barriers() == [], path
            assert open_desk.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            open_desk.keep_screen(
                f"{theme}-{width}-{language}-user{path.replace('/', '-').replace('#', '-')}"
            )
        labels = open_desk.page.locator("nav").first.inner_text()
        assert bool(re.search("[\u4e00-\u9fff]", labels)) == (language == "zh")
        assert open_desk.complaints == []


def test_a_visitor_sees_pools_and_the_desk_and_is_asked_in_for_more(
    browser: Browser, instance: RunningInstance
) -> None:
    """Pools are open; one's own places are not in the navigation, and their addresses ask for a sign-in."""
    with desk(browser, instance.url, owner=False) as open_desk:
        page = open_desk.page
        visit(open_desk, "/")
        expect(page).to_have_url(f"{instance.url}/earn")
        nav = page.get_by_role("navigation", name="Places")
        expect(nav.get_by_role("link")).to_have_text(["Earn", "Desk"])
        page.get_by_role("article").get_by_role("button", name="Deposit").click()
        expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        assert open_desk.barriers() == []
        page.get_by_role("button", name="Not now").click()
        page.goto(f"{instance.url}/rewards")
        expect(page.get_by_text("This page shows your own money.")).to_be_visible()
        page.goto(f"{instance.url}/desk")
        page.locator("tr.level").first.wait_for()
        expect(page.get_by_role("button", name="Pause trading")).to_have_count(0)
        expect(page.get_by_role("button", name="Configuration")).to_have_count(0)
        assert open_desk.complaints == []


def test_figures_at_home_are_the_users_own(browser: Browser, instance: RunningInstance) -> None:
    """Worth, shares and what was earned are the API's, digit by digit."""
    with desk(browser, instance.url, person="alice") as open_desk:
        visit(open_desk, "/")
        open_desk.agrees(
            "/me/positions",
            """api.positions.length === 1 && [
                api.value, api.earned_trading, api.positions[0].shares, api.positions[0].value,
                api.positions[0].earned
            ].every((one) => shown('main').includes(one))""",
        )


def test_money_goes_in_and_out_again(browser: Browser, instance: RunningInstance) -> None:
    """Fund, preview, agree, pay, reload, shares; then withdraw to the wallet: each step as the API has it."""
    with desk(browser, instance.url, width=PHONE, person="carol") as open_desk:
        page = open_desk.page
        visit(open_desk, "/")
        page.get_by_role("button", name="Get play money").click()
        expect(page.get_by_role("region", name="Play wallet").locator("data[value='10000']")).to_be_visible()

        page.get_by_role("link", name="Deposit").click()
        sheet = page.get_by_role("dialog")
        sheet.get_by_label("Amount", exact=True).fill("5")
        expect(sheet.get_by_role("alert")).to_be_visible()
        expect(sheet.get_by_role("button", name="Continue")).to_be_disabled()
        sheet.get_by_label("Amount", exact=True).fill("250.50")
        expect(sheet.get_by_role("button", name="Continue")).to_be_enabled()
        assert open_desk.barriers() == []
        sheet.get_by_role("button", name="Continue").click()
        expect(sheet).to_contain_text("Performance fee")
        expect(sheet.get_by_role("button", name="Agree and pay")).to_be_disabled()
        sheet.get_by_role("checkbox").check()
        assert open_desk.barriers() == []
        open_desk.keep_screen("deposit-terms")
        sheet.get_by_role("button", name="Agree and pay").click()

        page.wait_for_url("**/history/deposits/*")
        deposit = page.url.rsplit("/", 1)[1]
        pay = open_desk.answer(f"/me/deposits/{deposit}")["pay"]
        for part in ("address", "memo", "uri", "amount"):
            expect(page.get_by_text(pay[part], exact=True).first).to_be_visible()
        assert open_desk.barriers() == []
        open_desk.keep_screen("deposit-pay")
        page.get_by_role("button", name="Pay from the play wallet").click()
        page.reload()
        expect(page.get_by_text("Done: the shares are yours.")).to_be_visible(timeout=180_000)
        shares = open_desk.answer(f"/me/deposits/{deposit}")["shares"]
        expect(page.locator(f"data[value='{shares}']")).to_be_visible()
        open_desk.keep_screen("deposit-done")

        page.get_by_role("link", name="Back to home").click()
        page.get_by_role("button", name="Withdraw").first.click()
        sheet.get_by_label("Shares", exact=True).fill("999999999")
        expect(sheet.get_by_role("alert")).to_contain_text("more than you have")
        sheet.get_by_label("Shares", exact=True).fill("100")
        expect(sheet.get_by_role("button", name="Withdraw", exact=True)).to_be_enabled()
        assert open_desk.barriers() == []
        sheet.get_by_role("button", name="Withdraw", exact=True).click()
        page.wait_for_url("**/history/withdrawals/*")
        expect(page.get_by_text("Done: the money is in the wallet.")).to_be_visible(timeout=180_000)
        paid = open_desk.answer(f"/me/withdrawals/{page.url.rsplit('/', 1)[1]}")["amount"]
        expect(page.locator(f"data[value='{paid}']")).to_be_visible()
        assert open_desk.barriers() == []
        open_desk.keep_screen("withdrawal-done")
        assert open_desk.complaints == []


def test_an_announced_deposit_can_be_cancelled(browser: Browser, instance: RunningInstance) -> None:
    """Before the payment the announcement is withdrawn, and the page says so."""
    with desk(browser, instance.url, person="bob") as open_desk:
        page = open_desk.page
        visit(open_desk, "/earn/main")
        page.get_by_role("button", name="Deposit").click()
        page.get_by_label("Amount", exact=True).fill("12")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Agree and pay").click()
        page.get_by_role("button", name="Cancel deposit").click()
        expect(page.get_by_role("heading", name="Pay", exact=True)).to_have_count(0)
        deposit = page.url.rsplit("/", 1)[1]
        assert open_desk.answer(f"/me/deposits/{deposit}")["state"] == "cancelled"
        visit(open_desk, "/history#moves")
        expect(page.get_by_text("Cancelled").first).to_be_visible()


def test_the_statement_is_filtered_and_exported(browser: Browser, instance: RunningInstance) -> None:
    """A filter leaves what fits; the CSV has exactly those lines."""
    with desk(browser, instance.url, person="alice") as open_desk:
        page = open_desk.page
        visit(open_desk, "/history")
        page.get_by_label("Kind").select_option("MINT_SHARES")
        expect(page.locator(".statement tbody tr")).to_have_count(1)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CSV").click()
        rows = list(csv.DictReader(download.value.path().open(newline="")))
        lines = [one for one in open_desk.answer("/me/statement") if one["kind"] == "MINT_SHARES"]
        assert [(row["seq"], row["amount"], row["hash"]) for row in rows] == [
            (str(line["seq"]), line["amount"], line["hash"]) for line in lines
        ]
        page.get_by_label("Search").fill("no such thing")
        expect(page.get_by_text("No line fits the filter.")).to_be_visible()


def test_an_entry_is_verified_and_a_changed_one_is_caught(
    browser: Browser, instance: RunningInstance
) -> None:
    """The hash is computed in the browser; a changed text and a changed line are told apart."""
    with desk(browser, instance.url, person="bob") as open_desk:
        page = open_desk.page
        visit(open_desk, "/")
        page.get_by_role("button", name="Get play money").click()
        whole = own_entry(open_desk)
        result = page.locator("[data-receipt]")

        def verified(expected: str, changed: dict[str, Any] | None = None) -> None:
            def answer(route: Route) -> None:
                route.fulfill(json={**whole, **(changed or {})})

            page.route("**/api/v1/me/ledger/*", answer)
            visit(open_desk, f"/history/entries/{whole['seq']}")
            page.get_by_role("button", name="Verify in this browser").click()
            expect(result).to_have_attribute("data-receipt", expected)
            assert open_desk.barriers() == []
            page.unroute("**/api/v1/me/ledger/*", answer)

        verified("holds")
        open_desk.keep_screen("receipt")
        verified("hash", {"canonical": whole["canonical"].replace("posted", "posteD")})
        entry = {**whole["entries"][0], "units": whole["entries"][0]["units"] + "0"}
        verified("differs", {"entries": [entry, *whole["entries"][1:]]})
        verified("masked", {"canonical": None})


def own_entry(open_desk: Desk) -> dict[str, Any]:
    """An entry that names nobody else, as the API has it: a deposit is paid for that."""
    page = open_desk.page
    page.get_by_role("link", name="Deposit").click()
    page.get_by_label("Amount", exact=True).fill("10")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and pay").click()
    page.get_by_role("button", name="Pay from the play wallet").click()
    expect(page.get_by_text("Done: the shares are yours.")).to_be_visible(timeout=180_000)
    groups: list[dict[str, Any]] = open_desk.answer("/me/ledger?limit=100")
    return next(one for one in groups if one["canonical"])


def test_a_proof_is_fetched_and_checked(browser: Browser, instance: RunningInstance) -> None:
    """After a seal the proof holds, and shows the user's own shares."""
    instance.remote.change("/admin/seal", money.SealView)
    with desk(browser, instance.url, person="alice") as open_desk:
        page = open_desk.page
        visit(open_desk, "/history#proof")
        page.get_by_role("button", name="Fetch and verify my proof").click()
        expect(page.locator("[data-proof=holds]")).to_contain_text("user:alice is counted in seal")
        position = open_desk.answer("/me/positions")["positions"][0]
        expect(page.locator(f"[data-proof] data[value='{position['shares']}']")).to_be_visible()
        assert open_desk.barriers() == []
        open_desk.keep_screen("proof")


def test_a_proof_file_holds_or_says_what_fails(
    browser: Browser, instance: RunningInstance, tmp_path: Path
) -> None:
    """The published vectors: a sound file is green, broken ones and rubbish are named."""
    vectors = json.loads(VECTORS.read_text())
    files = {
        "sound": (json.dumps(vectors["sound"][0]), "holds", "The proof holds"),
        **{
            f"broken {at}": (json.dumps(one["proof"]), "fails", "")
            for at, one in enumerate(vectors["broken"])
        },
        "rubbish": ("not a proof", "fails", "no JSON"),
        "other": ("{}", "fails", "no proof that can be read"),
    }
    with desk(browser, instance.url, person="alice") as open_desk:
        visit(open_desk, "/history#proof")
        result = open_desk.page.locator("[data-proof]")
        for name, (text, outcome, said) in files.items():
            path = tmp_path / f"{name}.json"
            path.write_text(text)
            open_desk.page.locator("input[type=file]").set_input_files(path)
            expect(result).to_have_attribute("data-proof", outcome)
            expect(result).to_contain_text(said)
        assert open_desk.complaints == []


def test_a_browser_wallet_signs_in(browser: Browser, instance: RunningInstance) -> None:
    """A stranger's wallet signs the message; they own nothing yet, and sign out again."""
    key = Account.create()

    def personal_sign(message: str) -> str:
        signed = Account.sign_message(encode_defunct(hexstr=message), key.key)
        return f"0x{bytes(signed.signature).hex()}"

    with desk(browser, instance.url, owner=False) as open_desk:
        page = open_desk.page
        page.expose_function("testSign", personal_sign)
        page.add_init_script(
            f"""window.ethereum = {{ request: async ({{ method, params }}) =>
                method === 'eth_requestAccounts' ? ['{key.address}'] : window.testSign(params[0]) }};"""
        )
        visit(open_desk, "/earn")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign in with a wallet").click()
        short = f"{key.address[:6]}…{key.address[-4:]}".lower()
        account = page.get_by_role("button", name=short)
        expect(account).to_be_visible()
        assert open_desk.answer("/auth/session")["user"] == key.address.lower()
        visit(open_desk, "/")
        expect(page.get_by_text("You have nothing in a pool yet.")).to_be_visible()
        assert open_desk.barriers() == []
        account.click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert open_desk.answer("/auth/session")["role"] == "visitor"


def test_the_owner_signs_in_with_the_password(browser: Browser, instance: RunningInstance) -> None:
    """A wrong one is refused in words; the right one opens the desk's switches."""
    with desk(browser, instance.url, owner=False) as open_desk:
        page = open_desk.page
        visit(open_desk, "/desk")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("I run this instance").click()
        password = page.get_by_role("textbox", name="Owner’s password")
        password.fill("not the password")
        page.get_by_role("dialog").get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("refused")
        password.fill(OWNER_PASSWORD)
        page.get_by_role("dialog").get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("button", name="Pause trading")).to_be_visible()
        expect(
            page.get_by_role("navigation", name="Places").get_by_role("link", name="Owner")
        ).to_be_visible()


def test_every_place_of_a_user_is_light(browser: Browser, instance: RunningInstance) -> None:
    """All scripts that a place asks for when it opens stay within 80 kB compressed."""
    for locale in ("en-GB", "zh-CN"):
        for path in PLACES:
            with desk(browser, instance.url, locale=locale, person="alice") as open_desk:
                visit(open_desk, path)
                assert len(open_desk.scripts) > 5
                assert open_desk.script_bytes() <= USER_JS_BUDGET, path
