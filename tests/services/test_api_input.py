"""What the API does with input that nobody sane would send, and what its answers carry."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient

from mrmarket.money.ledger.errors import LedgerStoppedError
from mrmarket.services.access.buckets import Rate
from mrmarket.services.access.settings import AccessSettings, Rates
from mrmarket.services.api import money_schema
from mrmarket.services.api.admission import cookie_name, session_cookie
from mrmarket.services.api.refusals import MoneyNotReadyError
from mrmarket.services.api.schema import Problem
from services.doors import BEARER, Door, sign_in
from services.money_fake import FakeMoney

_FAST = Rate(1e6, 10**6)
MONEY = FakeMoney()
DOOR = Door(AccessSettings(demo=True, open_desk=True, rates=Rates(_FAST, _FAST, _FAST)), MONEY)
DEPOSIT = {"pool": "main", "asset": "USDT", "amount": "10"}
BODIES = {
    "me/deposits": money_schema.DepositRequest,
    "me/withdrawals": money_schema.WithdrawalRequest,
    "me/balances/withdraw": money_schema.BalanceWithdrawalRequest,
    "admin/pools/main/fees/withdraw": money_schema.FeeWithdrawal,
    "admin/pools/main/pause": money_schema.PauseRequest,
    "admin/rewards/allocate": money_schema.RewardDayRequest,
    "auth/admin": money_schema.AdminSignIn,
    "auth/setup": money_schema.AdminSetup,
    "auth/wallet": money_schema.WalletSignIn,
    "auth/demo": money_schema.DemoSignIn,
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def post(browser: TestClient[Any], path: str, content: bytes, kind: str = "application/json") -> Any:
    """Send a body as it is, with the rights that the route asks for."""
    headers = {"Content-Type": kind}
    headers |= BEARER if path.startswith("admin/") else sign_in(browser, "alice")
    return browser.post(f"/api/v1/{path}", content=content, headers=headers)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"amount": 10}, "amount"),
        ({"amount": 10.5}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": ["10"]}, "amount"),
        ({"amount": "1" * 81}, "amount"),
        ({"amount": "10\n"}, "amount"),
        ({"pool": "ma\x00in"}, "pool"),
        ({"pool": "x" * 201}, "pool"),
        ({"terms_version": "1"}, "terms_version"),
        ({"terms_version": True}, "terms_version"),
        ({"user": "bob"}, "user"),
        ({"Amount": "10"}, "Amount"),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused(change: dict[str, Any], says: str) -> None:
    """Amounts as numbers, unknown fields, wrong types, control characters, endless text: 400 by name."""
    with DOOR.client() as browser:
        MONEY.said.clear()
        answer = post(browser, "me/deposits", msgspec.json.encode(DEPOSIT | change))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert says in answer.json()["message"]
    assert MONEY.said == []


@pytest.mark.parametrize("missing", sorted(DEPOSIT))
def test_a_missing_field_is_named(missing: str) -> None:
    """Nothing that matters has a default."""
    with DOOR.client() as browser:
        body = {name: value for name, value in DEPOSIT.items() if name != missing}
        answer = post(browser, "me/deposits", msgspec.json.encode(body))
    assert answer.status_code == 400
    assert missing in answer.json()["message"]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"null", b"[]", b'"text"', b"{}{}", b"\xff\xfe"),
        *(b'{"amount": NaN}', b'{"pool": "\\ud800"}', b"[" * 5000),
    ],
)
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    """Broken, empty, nested without end or no object: 400 and nothing asked of the business core."""
    with DOOR.client() as browser:
        MONEY.said.clear()
        answer = post(browser, "me/deposits", content)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert MONEY.said == []


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_that_does_not_say_it_is_json_is_refused(kind: str) -> None:
    """A form of another page can send these kinds without asking; none of them is read."""
    with DOOR.client() as browser:
        answer = post(browser, "me/deposits", msgspec.json.encode(DEPOSIT), kind)
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type_refused")


def test_a_body_without_end_is_refused() -> None:
    """More than 64 KiB is 413, before it is read as JSON."""
    with DOOR.client() as browser:
        answer = post(browser, "me/deposits", b'{"pool": "' + b"x" * 70_000 + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@given(path=st.sampled_from(sorted(BODIES)), body=anything)
def test_any_json_gets_an_answer_and_never_a_fault(path: str, body: object) -> None:
    """Whatever the JSON, the answer is a Problem below 500, or the body was of the route's own type."""
    with DOOR.client() as browser:
        answer = post(browser, path, msgspec.json.encode(body))
    assert answer.status_code < 500
    if answer.status_code != 200:
        assert msgspec.json.decode(answer.content, type=Problem).code
    else:
        msgspec.convert(body, BODIES[path])
    DOOR.wait(3601)


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer_and_never_a_fault(content: bytes) -> None:
    """Whatever the bytes, they are refused as a request."""
    with DOOR.client() as browser:
        assert post(browser, "me/deposits", content).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        *("me/deposits?limit=0", "me/deposits?limit=1001", "me/deposits?limit=x", "me/deposits?before_ms=-1"),
        *(
            "me/deposits?before_ms=9007199254740993",
            "me/ledger?before_seq=1.5",
            "me/ledger/-1",
            "me/ledger/x",
        ),
        *("me/statement?start_ms=2&end_ms=1", "me/earnings?period=year", "me/proof?asset=%00"),
        *("me/deposits/%00", "me/deposits/" + "x" * 300, "me/statement?start_ms=1.5"),
    ],
)
def test_a_parameter_out_of_range_is_refused(query: str) -> None:
    """Limits, moments, sequence numbers and ids have ranges; outside them is 400 or, in a path, 404."""
    with DOOR.client() as browser:
        sign_in(browser, "alice")
        answer = browser.get(f"/api/v1/{query}")
    assert answer.status_code in {400, 404}
    assert answer.json()["code"] in {"invalid_request", "invalid_input", "not_found"}


@pytest.mark.parametrize("path", ["/api/v1/quotes", "/api/v1/nothing", "/api/v1/me/positions", "/"])
def test_every_answer_carries_the_headers_that_keep_browsers_out(path: str) -> None:
    """Good or bad, of the API or a page: nosniff, no framing, nothing kept of what the API says."""
    with DOOR.client() as browser:
        headers = browser.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in headers
    if path != "/":
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_over_https_the_cookie_never_leaves_encryption() -> None:
    """Secure and HSTS, as soon as the request came over https."""
    with DOOR.client("https://127.0.0.1") as browser:
        answer = browser.post("/api/v1/auth/demo", json={"name": "bob"})
    assert answer.headers["set-cookie"].endswith("Secure")
    assert answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1:8080", "mrmarket_8080"),
        ("[::1]:9", "mrmarket_9"),
        ("[::1]", "mrmarket"),
        ("market.example", "mrmarket"),
        ("a:é", "mrmarket"),
        ("", "mrmarket"),
    ],
)
def test_two_instances_on_one_machine_keep_their_sessions_apart(host: str, name: str) -> None:
    """Browsers share cookies between ports; the port in the name keeps them apart."""
    assert cookie_name(host) == name
    assert session_cookie(host, "t", secure=False, lifetime_s=1).startswith(f"{name}=t; ")


def test_a_cookie_beside_others_is_found() -> None:
    """Other cookies of the host do not confuse the session's."""
    with DOOR.client() as browser:
        sign_in(browser, "alice")
        token = browser.cookies["mrmarket"]
        browser.cookies.clear()
        for cookies in (f"a=b; mrmarket={token}; c", f"mrmarket={token}", f"x;mrmarket={token}"):
            said = browser.get("/api/v1/auth/session", headers={"Cookie": cookies}).json()
            assert said["user"] == "alice"
        for cookies in ("mrmarket", "mrmarket=", f"mrmarket_1={token}", f"xmrmarket={token}", "é=1"):
            said = browser.get("/api/v1/auth/session", headers={b"Cookie": cookies.encode("latin-1")}).json()
            assert said["role"] == "visitor"


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1.evil.example", "[", "127.0.0.1:8080@evil.example"]
)
def test_a_host_that_is_not_ours_is_refused(host: str) -> None:
    """Against DNS rebinding, and whatever is no host at all."""
    with DOOR.client() as browser:
        answer = browser.get("/api/v1/quotes", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")


@pytest.mark.parametrize("origin", ["null", "", "http://[", "https://evil.example", "http://127.0.0.1:81"])
def test_an_origin_that_is_not_ours_changes_nothing(origin: str) -> None:
    """Another port of this machine is another site too."""
    with DOOR.client() as browser:
        answer = browser.post("/api/v1/auth/demo", json={"name": "bob"}, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")


class BrokenMoney(FakeMoney):
    """A business core that fails as it is told."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure

    async def positions_json(self, user: str) -> bytes:
        """Fail."""
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (MoneyNotReadyError(), 503, "money_not_ready"),
        (LedgerStoppedError("closed"), 503, "ledger_stopped"),
        (RuntimeError("boom"), 500, "internal"),
    ],
)
def test_the_shortest_way_fails_like_every_other(failure: Exception, status: int, code: str) -> None:
    """Positions are answered past the framework; refusals and faults look the same all the same."""
    with Door(money=BrokenMoney(failure)).client() as browser:
        sign_in(browser, "alice")
        answer = browser.get("/api/v1/me/positions")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["retryable"] is (status == 503)
    assert "boom" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_is_kept_ready_is_what_the_contract_says() -> None:
    """The text past the framework decodes as the route's own type, and is the user's own."""
    with DOOR.client() as browser:
        sign_in(browser, "alice")
        answer = browser.get("/api/v1/me/positions?x=1")
    assert answer.headers["content-type"] == "application/json"
    view = msgspec.json.decode(answer.content, type=money_schema.PositionsView, strict=True)
    assert view.balances[0].amount == str(len("alice"))
