"""Every route of the app, as everybody who might ask; a route that is not in the table fails the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler, WebsocketRouteHandler
from litestar.testing import TestClient

from mrmarket.services.access.buckets import Rate
from mrmarket.services.access.settings import AccessSettings, Rates
from mrmarket.services.api.money_face import MoneyFace
from services.doors import BEARER, LOCAL, Door, sign_in
from services.money_fake import FakeMoney
from services.operations_fake import RUN, VENUE
from services.partners_fake import CAMPAIGN, ENTRY

Needs = Literal["anybody", "desk", "user", "admin"]


@dataclass(frozen=True)
class Case:
    """One route: who may, what to send, and whose id is in the path."""

    method: str
    path: str
    needs: Needs
    body: dict[str, Any] | None = None
    asked: str = ""
    """The path to ask, where it has parameters; `of-alice` is alice's id."""
    answer: int = 200

    @property
    def url(self) -> str:
        """What to ask for."""
        return f"/api/v1/{self.asked or self.path}"

    @property
    def changes(self) -> bool:
        """Whether it needs a CSRF token."""
        return self.method == "POST"


DEPOSIT = {"pool": "main", "asset": "USDT", "amount": "10"}
WITHDRAWAL = {"pool": "main", "shares": "all"}
BALANCE = {"asset": "USDT", "amount": "1"}
FEES = {"asset": "USDT", "amount": "1", "destination": "0x1"}
DAY = {"pool": "main", "day_ms": 0}
SIWE = {"message": "m", "signature": "s"}


def asked_of(what: str) -> dict[str, Any]:
    """The owner's word with a key of its own."""
    return {"key": f"key-of-{what}", "reason": "a test"}


CASES = [
    Case("GET", "instance", "desk"),
    Case("POST", "instance/start", "admin"),
    Case("POST", "instance/stop", "admin"),
    Case("GET", "instance/config", "admin"),
    Case("GET", "market", "desk"),
    Case("GET", "market/candles", "desk"),
    Case("GET", "quotes", "desk"),
    Case("GET", "orders", "desk"),
    Case("GET", "fills", "desk", answer=400),
    Case("GET", "performance", "desk"),
    Case("GET", "events", "desk"),
    Case("GET", "pool", "desk"),
    Case("GET", "pool/equity", "desk"),
    Case("GET", "admin/selection", "admin"),
    Case("GET", "admin/selection/decisions", "admin"),
    Case("GET", "admin/selection/thresholds", "admin"),
    Case("POST", "admin/selection/thresholds", "admin", {"ratio": 2.0}),
    Case("GET", "admin/selection/rebalance", "admin"),
    Case("POST", "admin/selection/rebalance", "admin", {"proposal": "BTC-1", "approve": True}),
    Case("POST", "admin/selection/caps", "admin", {"candidate": "main", "share": 0.5}),
    Case("POST", "admin/selection/dry-run", "admin", {"ratio": 2.0}),
    Case("GET", "openapi.json", "anybody"),
    Case("GET", "auth/session", "anybody"),
    Case("GET", "auth/nonce", "anybody"),
    Case("GET", "auth/demo", "anybody"),
    Case("POST", "auth/demo", "anybody", {"name": "bob"}),
    Case("POST", "auth/wallet", "anybody", SIWE, answer=401),
    Case("POST", "auth/admin", "anybody", {"password": "wrong"}, answer=401),
    Case("POST", "auth/setup", "anybody", {"token": "t", "password": "p"}, answer=401),
    Case("POST", "auth/logout", "anybody"),
    Case("GET", "pools", "anybody"),
    Case("GET", "pools/{pool}", "anybody", asked="pools/main"),
    Case("GET", "pools/{pool}/equity", "anybody", asked="pools/main/equity"),
    Case("GET", "pools/{pool}/risk", "anybody", asked="pools/main/risk"),
    Case("GET", "pools/{pool}/periods", "anybody", asked="pools/main/periods"),
    Case("GET", "ledger/head", "anybody"),
    Case("GET", "ledger/seals", "anybody"),
    Case("GET", "me/positions", "user"),
    Case("GET", "me/portfolio", "user"),
    Case("GET", "me/earnings", "user"),
    Case("GET", "me/rewards", "user"),
    Case("GET", "me/rewards/{allocation}", "user", asked="me/rewards/of-alice"),
    Case("GET", "me/rewards/{allocation}/trace", "user", asked="me/rewards/of-alice/trace"),
    Case("GET", "me/trades", "user"),
    Case("GET", "me/wallet", "user"),
    Case("POST", "me/wallet/fund", "user"),
    Case("POST", "me/deposits/preview", "user", DEPOSIT),
    Case("POST", "me/deposits", "user", DEPOSIT),
    Case("GET", "me/deposits", "user"),
    Case("GET", "me/deposits/{deposit}", "user", asked="me/deposits/of-alice"),
    Case("POST", "me/deposits/{deposit}/cancel", "user", asked="me/deposits/of-alice/cancel"),
    Case("POST", "me/deposits/{deposit}/pay", "user", asked="me/deposits/of-alice/pay"),
    Case("POST", "me/withdrawals/preview", "user", WITHDRAWAL),
    Case("POST", "me/withdrawals", "user", WITHDRAWAL),
    Case("GET", "me/withdrawals", "user"),
    Case("GET", "me/withdrawals/{withdrawal}", "user", asked="me/withdrawals/of-alice"),
    Case("POST", "me/withdrawals/{withdrawal}/cancel", "user", asked="me/withdrawals/of-alice/cancel"),
    Case("POST", "me/balances/withdraw", "user", BALANCE),
    Case("GET", "me/statement", "user"),
    Case("GET", "me/statement.csv", "user"),
    Case("GET", "me/proof", "user"),
    Case("GET", "me/ledger", "user"),
    Case("GET", "me/ledger/{seq}", "user", asked="me/ledger/1"),
    Case("GET", "admin/treasury", "admin"),
    Case("POST", "admin/reconcile", "admin"),
    Case("GET", "admin/incidents", "admin"),
    Case(
        "POST",
        "admin/incidents/{incident}/release",
        "admin",
        {"reason": "written off"},
        "admin/incidents/1/release",
        answer=404,
    ),
    Case("POST", "admin/parked/{payment}/reconsider", "admin", asked="admin/parked/1/reconsider", answer=404),
    Case("POST", "admin/parked/{payment}/send-back", "admin", {}, "admin/parked/1/send-back", answer=404),
    Case("GET", "admin/outbox", "admin"),
    Case("POST", "admin/outbox/{payout}/retry", "admin", asked="admin/outbox/1/retry", answer=404),
    Case("GET", "admin/users", "admin"),
    Case("GET", "admin/jobs", "admin"),
    Case("GET", "admin/trades", "admin"),
    Case("GET", "admin/periods", "admin"),
    Case("GET", "admin/pools/{pool}/fees", "admin", asked="admin/pools/main/fees"),
    Case("POST", "admin/pools/{pool}/fees/withdraw", "admin", FEES, "admin/pools/main/fees/withdraw"),
    Case("POST", "admin/pools/{pool}/pause", "admin", {"reason": "x"}, "admin/pools/main/pause"),
    Case("POST", "admin/pools/{pool}/resume", "admin", {}, "admin/pools/main/resume"),
    Case("GET", "admin/rewards/runs", "admin"),
    Case("GET", "admin/rewards/preview", "admin", asked="admin/rewards/preview?pool=main&day_ms=0"),
    Case("POST", "admin/rewards/allocate", "admin", DAY),
    Case("POST", "admin/rewards/replay", "admin", DAY),
    Case("POST", "admin/seal", "admin"),
    Case("GET", "admin/ledger", "admin"),
    Case("GET", "admin/ledger/{seq}", "admin", asked="admin/ledger/1"),
    Case("GET", "campaigns", "anybody"),
    Case("GET", "campaigns/{campaign}", "anybody", asked=f"campaigns/{CAMPAIGN}"),
    Case("GET", "admin/partners", "admin"),
    Case("POST", "admin/partners/sweep", "admin", {"dry_run": False}),
    Case("GET", "admin/campaigns/{campaign}", "admin", asked=f"admin/campaigns/{CAMPAIGN}"),
    Case("POST", "admin/campaigns/{campaign}/{wish}", "admin", asked=f"admin/campaigns/{CAMPAIGN}/join"),
    Case("GET", "admin/rewards/{reward}/trace", "admin", asked=f"admin/rewards/{ENTRY}/trace"),
    Case("GET", "metrics", "admin"),
    Case("GET", "notice", "anybody"),
    Case("GET", "admin/operations", "admin"),
    Case("GET", "admin/operations/differences", "admin", asked="admin/operations/differences?open=false"),
    Case("GET", "admin/operations/angel/actions", "admin"),
    Case(
        "GET", "admin/operations/commands/{command}", "admin", asked="admin/operations/commands/1", answer=404
    ),
    Case(
        "POST",
        "admin/operations/runs/{run}/{action}",
        "admin",
        asked_of("pause"),
        f"admin/operations/runs/{RUN}/pause",
    ),
    Case(
        "POST",
        "admin/operations/venues/{venue}/{action}",
        "admin",
        asked_of("venue"),
        f"admin/operations/venues/{VENUE}/rearm",
    ),
    Case("POST", "admin/operations/halt", "admin", asked_of("halt")),
    Case("POST", "admin/operations/rearm", "admin", asked_of("rearm")),
    Case("POST", "admin/operations/angel/drill", "admin", asked_of("drill")),
    Case("POST", "admin/operations/recovery/resume", "admin", asked_of("resume")),
]
MINE = [case for case in CASES if "of-alice" in case.url or case.url.endswith("me/ledger/1")]
CHANGES = [case for case in CASES if case.changes and not case.path.startswith("auth/")]
BESIDE_THE_BOOKS = ("admin/operations", "admin/selection", "admin/partners", "admin/campaigns")
"""What is asked of others than the business core."""
name = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method} {case.path}")

UNHURRIED = Rates(Rate(1e6, 10**6), Rate(1e6, 10**6), Rate(1e6, 10**6))


def door(*, open_desk: bool = True, money: MoneyFace | None = None) -> Door:
    """A door that hurries nobody."""
    return Door(AccessSettings(demo=True, open_desk=open_desk, rates=UNHURRIED), money)


@pytest.fixture(scope="module")
def _hall() -> tuple[Door, FakeMoney]:
    money = FakeMoney()
    return door(money=money), money


@pytest.fixture
def money(_hall: tuple[Door, FakeMoney]) -> FakeMoney:
    """The business core behind `hall`, asked nothing yet."""
    _hall[1].calls.clear()
    return _hall[1]


@pytest.fixture
def hall(_hall: tuple[Door, FakeMoney]) -> Door:
    """An app with an open desk and books; browsers are each test's own, old guesses forgotten."""
    _hall[0].wait(3601)
    return _hall[0]


@pytest.fixture(scope="module")
def closed() -> Door:
    """An app whose desk is closed."""
    return door(open_desk=False, money=FakeMoney())


@pytest.fixture(scope="module")
def bookless() -> Door:
    """An app without a business core."""
    return door()


def ask(browser: TestClient[Any], case: Case, headers: dict[str, str]) -> Any:
    """Send the case's request."""
    return browser.request(case.method, case.url, json=case.body, headers=headers)


def served(app: Litestar) -> Iterator[tuple[str, str]]:
    """(method, path below /api/v1) of every API route of the app."""
    for route in app.routes:
        if not route.path.startswith("/api/"):
            continue
        for handler in getattr(route, "route_handlers", [getattr(route, "route_handler", None)]):
            if isinstance(handler, HTTPRouteHandler):
                for method in handler.http_methods - {"OPTIONS"}:
                    yield method, route.path_format.removeprefix("/api/v1/")
            else:
                assert isinstance(handler, WebsocketRouteHandler)
                yield "WEBSOCKET", route.path_format.removeprefix("/api/v1/")


def test_the_table_names_every_route_and_its_role(hall: Door) -> None:
    """A route that nobody thought about access for cannot be added."""
    app = hall.app
    known = {(case.method, case.path) for case in CASES} | {("WEBSOCKET", "stream")}
    assert set(served(app)) == known
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            if route.path.startswith("/api/") and handler.http_methods != {"OPTIONS"}:
                path = route.path_format.removeprefix("/api/v1/")
                assert handler.opt["needs"] in {case.needs for case in CASES if case.path == path}, path


def test_the_documentation_names_every_route_and_who_may_ask() -> None:
    """`docs/api.md` has each route, in a row with its role."""
    page = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    missing = [
        case
        for case in CASES
        if case.path != "openapi.json"
        and not any(
            re.search(rf"`{case.method} /{re.escape(case.path)}[`?]", row) and f"| {case.needs} |" in row
            for row in rows
        )
    ]
    assert missing == []


@name
def test_a_visitor_gets_what_is_for_anybody(hall: Door, case: Case) -> None:
    """Without a session: 401 `sign_in_needed` for everything that is somebody's; the open desk is open."""
    with hall.client() as browser:
        answer = ask(browser, case, {})
    if case.needs in {"anybody", "desk"}:
        assert answer.status_code == case.answer, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")


@name
def test_a_closed_desk_is_for_those_who_signed_in(closed: Door, case: Case) -> None:
    """Where money is real, a visitor sees neither market nor orders; a depositor does."""
    with closed.client() as browser:
        before = ask(browser, case, {})
        mine = sign_in(browser, "alice")
        after = ask(browser, case, mine)
    assert before.status_code == (case.answer if case.needs == "anybody" else 401)
    if case.needs == "desk":
        assert after.status_code == case.answer


@name
def test_a_user_gets_their_own(hall: Door, money: FakeMoney, case: Case) -> None:
    """Signed in as alice with her ids: her routes answer, the owner's are 403 `forbidden`."""
    with hall.client() as browser:
        answer = ask(browser, case, sign_in(browser, "alice"))
    if case.needs == "admin":
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    else:
        assert answer.status_code == case.answer, answer.text
    assert {user for _, user in money.calls} <= {"alice"}


@pytest.mark.parametrize("case", MINE, ids=lambda case: f"{case.method} {case.path}")
def test_another_users_id_looks_like_none(hall: Door, case: Case) -> None:
    """Bob asking with alice's id gets the very answer that an id which does not exist gets."""
    unknown = Case(case.method, case.path, case.needs, case.body, case.url[8:].replace("of-alice", "nobody"))
    with hall.client() as browser:
        bob = sign_in(browser, "bob")
        theirs, none = ask(browser, case, bob), ask(browser, unknown, bob)
    assert (theirs.status_code, theirs.json()["code"]) == (404, "not_found")
    if unknown.url != case.url:
        assert none.status_code == 404
        assert theirs.text.replace("of-alice", "nobody") == none.text


@name
def test_no_parameter_names_the_user(hall: Door, money: FakeMoney, case: Case) -> None:
    """Whatever a request claims about who it is for, the session decides."""
    with hall.client() as browser:
        mine = sign_in(browser, "alice")
        claims = {"user": "bob", "account": "user:bob", "name": "bob"}
        url = case.url + ("&" if "?" in case.url else "?") + "&".join(f"{k}={v}" for k, v in claims.items())
        browser.request(case.method, url, json=case.body, headers={**mine, "X-User": "bob"})
    assert {user for _, user in money.calls} <= {"alice"}


@name
def test_the_owner_runs_the_instance_but_is_no_depositor(hall: Door, case: Case) -> None:
    """The owner's token opens what is the owner's and the desk; `/me` is for depositors alone."""
    with hall.client() as browser:
        answer = ask(browser, case, BEARER)
    if case.needs == "user":
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    else:
        assert answer.status_code == case.answer, answer.text


@pytest.mark.parametrize("case", CHANGES, ids=lambda case: case.path)
@pytest.mark.parametrize("sent", [None, "", "wrong", "é"])
def test_a_change_without_the_csrf_token_is_refused(
    hall: Door, money: FakeMoney, case: Case, sent: str | None
) -> None:
    """Nothing that changes something is done for a page that cannot read the session."""
    state = hall.face.state
    with hall.client() as browser:
        sign_in(browser, "alice")
        headers = {} if sent is None else {"X-CSRF-Token": sent.encode("latin-1")}
        answer = browser.request(case.method, case.url, json=case.body, headers=headers)  # type: ignore[arg-type] # raw bytes on purpose
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_refused")
    assert not money.calls
    assert hall.face.state == state


@name
def test_a_foreign_page_changes_nothing(hall: Door, case: Case) -> None:
    """With another site's Origin every change is 403, signed in or not, token or not."""
    if not case.changes:
        return
    with hall.client() as browser:
        mine = sign_in(browser, "alice")
        answer = ask(browser, case, {**mine, "Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")


@name
def test_no_page_can_use_the_owners_token(hall: Door, case: Case) -> None:
    """A bearer token that comes with an Origin is refused: it is for the command line."""
    with hall.client() as browser:
        answer = ask(browser, case, {**BEARER, "Origin": LOCAL})
        wrong = ask(browser, case, {"Authorization": "Bearer wrong"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_refused")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "token_refused")


@name
def test_without_a_business_core_the_money_is_not_ready(bookless: Door, case: Case) -> None:
    """An instance without books answers 503 `money_not_ready`, once it knows that one may ask."""
    with bookless.client() as browser:
        headers = sign_in(browser, "alice") if case.needs == "user" else BEARER
        answer = ask(browser, case, headers)
    if case.path.startswith(BESIDE_THE_BOOKS) or case.path.endswith("/trace"):
        assert answer.status_code == case.answer, answer.text
    elif case.path.split("/")[0] in {"me", "admin", "pools", "ledger"}:
        assert (answer.status_code, answer.json()["code"]) == (503, "money_not_ready")
        assert answer.json()["retryable"]
