"""The rail over HTTP: who may ask, what is refused, and what its clients make of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrmarket.core.errors import InvalidInputError
from mrmarket.money.payouts.port import SendRequest, SendState
from mrmarket.services.rail.address import canonical_address, checksum_address, new_address
from mrmarket.services.rail.client import RailClient
from mrmarket.services.rail.config import RailAsset, RailConfig, VenueLink
from mrmarket.services.rail.errors import RailPortTakenError, RailRefusedError, RailUnclearError
from mrmarket.services.rail.faults import FaultDice, RailFaultKind, RailFaultRule, RailFaults
from mrmarket.services.rail.funding import RailVenueFunding, rescaled
from mrmarket.services.rail.line import find_rail
from mrmarket.services.rail.messages import IncomingAnswer, IncomingItem, RailEndpoints
from mrmarket.services.rail.server import RailServer
from mrmarket.services.rail.wallet_client import WalletClient
from rail_conformance import until
from services.rail.conftest import StartRail
from services.rail.rail_bench import strike

SEND = {"key": "k", "asset": "USDT", "units": "1", "destination": "0x" + "ab" * 20}
PAY = {"key": "k", "asset": "USDT", "amount": "1", "destination": "0x" + "ab" * 20}


class Raw:
    """Plain HTTP, as somebody without our client would ask."""

    def __init__(self, rail: RailServer, session: aiohttp.ClientSession) -> None:
        self.rail = rail
        self.session = session

    async def ask(
        self, method: str, path: str, body: object = b"", token: str | None = None, **query: str
    ) -> tuple[int, Any]:
        """(status, JSON body); the token is the right one unless another is given."""
        told = self.rail.endpoints
        right = told.wallet_token if path.startswith("/v1/wallets") else told.token
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"Authorization": f"Bearer {right if token is None else token}"}
        url = self.rail.url + path
        async with self.session.request(method, url, data=data, headers=headers, params=query) as answer:
            return answer.status, msgspec.json.decode(await answer.read())


@pytest.fixture
async def rail(start_rail: StartRail) -> RailServer:
    """A rail."""
    return await start_rail()


@pytest.fixture
async def raw(rail: RailServer) -> AsyncIterator[Raw]:
    """Plain HTTP to it."""
    async with aiohttp.ClientSession() as session:
        yield Raw(rail, session)


WALLET = "/v1/wallets/0x" + "cd" * 20


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/rail", None),
        ("GET", "/v1/incoming", None),
        ("GET", "/v1/balances", None),
        ("POST", "/v1/sends", SEND),
        ("GET", "/v1/sends/k", None),
        ("POST", "/v1/withdrawals", SEND),
        ("PUT", "/v1/venue", {"url": "http://evil", "token": "t"}),
        ("PUT", "/v1/faults", {}),
        ("GET", WALLET, None),
        ("POST", f"{WALLET}/faucet", {"key": "k", "asset": "USDT", "amount": "1"}),
        ("POST", f"{WALLET}/payments", PAY),
    ],
)
async def test_each_side_opens_with_its_own_token_only(
    raw: Raw, method: str, path: str, body: object
) -> None:
    """No token, a wrong one and the other side's are one and the same refusal, without effect."""
    told = raw.rail.endpoints
    other = told.token if path.startswith("/v1/wallets") else told.wallet_token
    for token in ("", "x" * 64, other):
        status, answer = await raw.ask(method, path, body or b"", token)
        assert (status, answer["code"]) == (401, "unauthorized")
    assert raw.rail.world.venue is None
    assert raw.rail.world.history("0x" + "cd" * 20, 1) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/", None, 404, "no_such_endpoint"),
        ("DELETE", "/v1/sends", None, 404, "no_such_endpoint"),
        ("POST", "/v1/sends", b"{", 400, "invalid_request"),
        ("POST", "/v1/sends", b"\xff", 400, "invalid_request"),
        ("POST", "/v1/sends", {**SEND, "units": 1}, 400, "invalid_request"),
        ("POST", "/v1/sends", {**SEND, "units": 1.5}, 400, "invalid_request"),
        ("POST", "/v1/sends", {**SEND, "more": 1}, 400, "invalid_request"),
        ("POST", "/v1/sends", {**SEND, "key": ""}, 400, "invalid_request"),
        ("POST", "/v1/sends", {**SEND, "key": "a b"}, 400, "invalid_request"),
        ("POST", "/v1/sends", {**SEND, "units": "1.5"}, 400, "invalid_amount"),
        ("POST", "/v1/sends", {**SEND, "units": "-1"}, 400, "invalid_amount"),
        ("POST", "/v1/sends", {**SEND, "units": "1e3"}, 400, "invalid_amount"),
        ("POST", "/v1/sends", b" " * 20_000, 413, "invalid_request"),
        ("GET", "/v1/sends/a%20b", None, 400, "invalid_request"),
        ("PUT", "/v1/venue", {"url": 1}, 400, "invalid_request"),
        ("PUT", "/v1/faults", {"rules": [{"kind": "delay", "rate": 2}]}, 400, "invalid_request"),
        ("GET", "/v1/wallets/bob", None, 400, "invalid_destination"),
        ("POST", f"{WALLET}/payments", {**PAY, "amount": "1e2"}, 400, "invalid_amount"),
        ("POST", f"{WALLET}/payments", {**PAY, "amount": "-1"}, 400, "invalid_amount"),
        ("POST", f"{WALLET}/payments", {**PAY, "amount": "0.000000001"}, 400, "invalid_amount"),
        ("POST", f"{WALLET}/payments", {**PAY, "amount": "\uff11"}, 400, "invalid_amount"),
        ("POST", f"{WALLET}/payments", {**PAY, "amount": 1.0}, 400, "invalid_request"),
        ("POST", f"{WALLET}/payments", {**PAY, "asset": "DOGE"}, 400, "unknown_asset"),
        ("POST", f"{WALLET}/payments", PAY, 409, "insufficient_funds"),
        ("POST", f"{WALLET}/faucet", {"key": "k", "asset": "BTC", "amount": "3"}, 409, "faucet_empty"),
    ],
)
async def test_bad_input_has_a_stable_code_and_no_effect(
    raw: Raw, method: str, path: str, body: object, status: int, code: str
) -> None:
    """One sentence that says what to do; the wallet stays empty and the key unused."""
    answer = await raw.ask(method, path, body if body is not None else b"")
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert answer[1]["message"]
    wallet = (await raw.ask("GET", WALLET))[1]
    assert set(wallet["balances"].values()) == {"0"}
    assert (wallet["payments"], raw.rail.world.find("send:k")) == ([], None)


@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "\u00b2", "9" * 30])
async def test_a_page_has_a_size(raw: Raw, limit: str) -> None:
    """1 to 500, in plain digits."""
    status, answer = await raw.ask("GET", "/v1/incoming", limit=limit)
    assert (status, answer["code"]) == (400, "invalid_request")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=10),
        lambda inner: st.dictionaries(st.sampled_from([*SEND, "amount", "memo", "x"]), inner, max_size=6),
        max_leaves=12,
    )
)
async def test_no_body_breaks_it(raw: Raw, body: object) -> None:
    """Whatever JSON comes, the answer is a refusal or a payment, never a fault of the rail."""
    for path in ("/v1/sends", "/v1/withdrawals", f"{WALLET}/payments", f"{WALLET}/faucet"):
        status, answer = await raw.ask("POST", path, body)
        assert status in (200, 400, 409)
        assert status == 200 or answer["code"]


async def test_who_has_no_token_learns_only_that_it_lives(raw: Raw) -> None:
    """The health check needs no token; the rail's own description names no token."""
    assert await raw.ask("GET", "/v1/health", token="") == (200, {"ok": True})
    told = (await raw.ask("GET", "/v1/rail"))[1]
    assert (told["token"], told["wallet_token"]) == ("", "")
    assert told["treasury"] == raw.rail.world.treasury


async def test_a_rail_that_runs_elsewhere_is_found_by_address_and_token(rail: RailServer) -> None:
    """What `find_rail` gives opens the platform's side and not the wallets'."""
    found = await find_rail(rail.url, rail.endpoints.token)
    assert found == msgspec.structs.replace(rail.endpoints, wallet_token="")
    client, wallets = RailClient(found), WalletClient(found)
    assert await client.balances() == {"USDT": 0, "BTC": 0, "ETH": 0}
    with pytest.raises(RailRefusedError, match="unauthorized"):
        await wallets.wallet("0x" + "cd" * 20)
    await client.close()
    await wallets.close()


async def test_a_wallet_funds_pays_and_sees_it(rail: RailServer) -> None:
    """Faucet, payment and history in exact decimals; asking again with the same key changes nothing."""
    wallets = WalletClient(rail.endpoints)
    address = new_address()
    given = await wallets.fund(checksum_address(address), "a", "USDT", "12.50")
    assert (given.destination, given.amount, given.stage) == (address, "12.5", "confirmed")
    paid = await wallets.pay(address, "b", rail.world.treasury, "USDT", "2.00000001", "d-1")
    again = await wallets.pay(address, "b", rail.world.treasury, "USDT", "2.00000001", "d-1")
    assert (again.id, again.memo) == (paid.id, "d-1")
    seen = await until(
        lambda: wallets.wallet(address), lambda wallet: wallet.payments[0].stage == "confirmed"
    )
    assert seen.balances == {"USDT": "10.49999999", "BTC": "0", "ETH": "0"}
    assert [payment.id for payment in seen.payments] == [paid.id, given.id]
    with pytest.raises(RailRefusedError) as refused:
        await wallets.pay(address, "b", rail.world.treasury, "USDT", "3")
    assert refused.value.reason == "idempotency_conflict"
    with pytest.raises(RailRefusedError, match="invalid_destination"):
        await wallets.wallet("../rail")
    await wallets.close()


async def test_an_unlisted_asset_can_still_be_paid_in(start_rail: StartRail) -> None:
    """The platform hears of a payment in an asset that its list does not have."""
    assets = [
        RailAsset(code="USDT", faucet_a_day="1"),
        RailAsset(code="DOGE", faucet_a_day="9", listed=False),
    ]
    rail = await start_rail(assets=assets)
    client, wallets = RailClient(rail.endpoints), WalletClient(rail.endpoints)
    assert [asset.id for asset in client.assets()] == ["rail:USDT"]
    address = new_address()
    await wallets.fund(address, "a", "DOGE", "9")
    await wallets.pay(address, "b", rail.world.treasury, "DOGE", "9")
    page = await until(lambda: client.incoming("", 10), lambda page: len(page.updates) > 0)
    assert page.updates[0].asset_code == "DOGE"
    assert await client.balances() == {"USDT": 0}
    await client.close()
    await wallets.close()


async def test_silence_is_unclear_and_the_effect_may_still_come(start_rail: StartRail) -> None:
    """A client that gave up does not take its request back: the payment is found later."""
    rail = await start_rail(settle_ms=30_000)
    rail.dice.reset(RailFaults(rules=[strike(RailFaultKind.DELAY, match="POST *", delay_ms=2_000)]), 0)
    # Long enough for a request to leave a busy machine: one that was never sent has no effect to find.
    client = RailClient(rail.endpoints, timeout_s=1.0)
    with pytest.raises(RailUnclearError, match="no answer in time"):
        await client.send(SendRequest("k", "USDT", 1, "0x" + "ab" * 20, ""))
    assert (await client.find("k")).state is SendState.ABSENT
    found = await until(lambda: client.find("k"), lambda report: report.state is not SendState.ABSENT)
    assert found.state is SendState.REFUSED
    await client.close()


async def test_a_request_that_is_too_old_has_no_effect(start_rail: StartRail) -> None:
    """What is still absent after the settling time will never happen."""
    rail = await start_rail(settle_ms=100)
    rail.dice.reset(RailFaults(rules=[strike(RailFaultKind.DELAY, match="POST *", delay_ms=150)]), 0)
    client = RailClient(rail.endpoints)
    with pytest.raises(RailUnclearError, match="too_late"):
        await client.send(SendRequest("k", "USDT", 1, "0x" + "ab" * 20, ""))
    assert (await client.find("k")).state is SendState.ABSENT
    await client.close()


NAMELESS = IncomingItem(
    id="",
    asset="USDT",
    units="1",
    sender="",
    memo="",
    state="seen",
    confirmations=0,
    required=1,
    at_ms=0,
)


async def test_strange_answers_are_unclear_never_believed() -> None:
    """Another program on the port, other states, amounts that are none: no report comes of them."""
    answers = iter(
        [
            b"<html>",
            b'{"state": "perhaps"}',
            b'{"state": "sent", "fee_units": "1.5"}',
            b'{"USDT": "-1"}',
            msgspec.json.encode(IncomingAnswer(updates=[NAMELESS], next_cursor="1")),
        ]
    )

    async def strange(_: web.BaseRequest) -> web.Response:
        return web.Response(body=next(answers))

    runner = web.ServerRunner(web.Server(strange))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    with pytest.raises(RailUnclearError):
        await find_rail(f"http://{host}:{port}", "t")
    told = RailEndpoints(
        url=f"http://{host}:{port}",
        token="t",
        wallet_token="",
        name="rail",
        treasury="",
        assets=[],
        settle_ms=1,
        required=1,
    )
    client = RailClient(told)
    for ask in (client.find("k"), client.find("k"), client.balances(), client.incoming("", 1)):
        with pytest.raises(RailUnclearError):
            await ask
    await client.close()
    await runner.cleanup()
    with pytest.raises(RailUnclearError, match="connection failed"):
        await client.find("k")
    await client.close()


async def test_a_taken_port_is_one_sentence(rail: RailServer, tmp_path: Path) -> None:
    """The second rail says what to do and lets go of its folder."""
    port = int(rail.url.rpartition(":")[2])
    second = RailServer(RailConfig(state_dir=str(tmp_path / "second"), port=port))
    with pytest.raises(RailPortTakenError, match="choose another port"):
        await second.start()
    await RailServer(RailConfig(state_dir=str(tmp_path / "second"))).stop()


async def test_a_broken_network_ends_the_rail(rail: RailServer) -> None:
    """Time that cannot be written down is an error of the server, not silence."""
    waiting = asyncio.create_task(rail.wait())
    rail._journal._connection.close()
    rail._wake.set()
    with pytest.raises(Exception, match="closed"):
        await waiting
    rail._journal._connection = sqlite3.connect(":memory:")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0x52908400098527886E0F7030069857D2E4169EE7", "0x52908400098527886e0f7030069857d2e4169ee7"),
        ("0xde709f2102306220921060314715629080e2fb77", "0xde709f2102306220921060314715629080e2fb77"),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"),
        ("0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359"),
        ("0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", None),
        ("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", None),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", None),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\n", None),
    ],
)
def test_addresses_follow_eip_55(text: str, canonical: str | None) -> None:
    """The examples of the standard; one wrong case is a wrong address."""
    assert canonical_address(text) == canonical
    if canonical and text[2:] not in (text[2:].upper(), text[2:].lower()):
        assert checksum_address(canonical) == text


@pytest.mark.parametrize(
    ("units", "decimals", "wanted", "expected"),
    [(15, 18, 18, 15), (1, 8, 18, 10**10), (10**10, 18, 8, 1), (10**10 + 1, 18, 8, None), (0, 8, 8, None)],
)
def test_amounts_change_their_decimals_exactly_or_not(
    units: int, decimals: int, wanted: int, expected: int | None
) -> None:
    """A digit that the other side does not have is a refusal, never a rounding."""
    if expected is None:
        with pytest.raises(InvalidInputError):
            rescaled(units, decimals, wanted)
    else:
        assert rescaled(units, decimals, wanted) == expected


async def test_funding_asks_only_for_what_the_rail_carries(rail: RailServer) -> None:
    """An unknown asset and a digit too many are refused before anything is asked."""
    funding = RailVenueFunding(rail.endpoints)
    with pytest.raises(InvalidInputError):
        await funding.deposit_address("DOGE")
    with pytest.raises(InvalidInputError):
        await funding.withdraw("k", "USDT", 1, 18, rail.world.treasury, "")
    assert (await funding.find("k")).state is SendState.ABSENT
    await funding.close()


@pytest.mark.parametrize(
    "settings_",
    [
        {"port": 70_000},
        {"assets": []},
        {"seen_ms": -1},
        {"required": 0},
        {"settle_ms": 5},
        {"treasury": "0xABC"},
    ],
)
def test_a_rail_that_makes_no_sense_is_not_configured(settings_: dict[str, Any]) -> None:
    """Each setting names what it wants."""
    with pytest.raises(InvalidInputError):
        RailConfig(state_dir="unused", **settings_)


@pytest.mark.parametrize(
    "fields", [{"code": "usdt"}, {"code": "A", "decimals": 19}, {"code": "A", "fee": "-1"}]
)
def test_an_asset_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    """Lower case, too many decimals, a fee that is no amount."""
    with pytest.raises(InvalidInputError):
        RailAsset(**fields)


def test_faults_strike_in_their_window_and_by_their_seed() -> None:
    """The same seed strikes alike; windows, counts and names are kept."""
    rules = [strike(RailFaultKind.DELAY, match="POST *", rate=0.5, from_s=1.0, until_s=2.0, times=3)]
    patterns = []
    for _ in range(2):
        dice = FaultDice(RailFaults(rules=rules, seed=4), 0)
        assert dice.request("POST /v1/sends", 999) is None
        assert dice.request("GET /v1/sends", 1_500) is None
        patterns.append([dice.request("POST /v1/sends", 1_500) is not None for _ in range(20)])
        assert dice.request("POST /v1/sends", 2_000) is None
        assert dice.report().struck == [3]
    assert patterns[0] == patterns[1]
    assert sum(patterns[0]) == 3
    with pytest.raises(InvalidInputError):
        RailFaultRule(kind=RailFaultKind.DELAY, delay_ms=-1)


async def test_secrets_stay_out_of_texts(tmp_path: Path) -> None:
    """Neither the endpoints nor the venue's link show their tokens when printed."""
    link = VenueLink(url="http://v", token="geheim")
    assert "geheim" not in repr(link)
    server = RailServer(RailConfig(state_dir=str(tmp_path / "r")))
    assert server.endpoints.token not in repr(server.endpoints)
    await server.stop()
