"""The recording oracle and the launcher, asked by our client, answered by the sandbox."""

from __future__ import annotations

import msgspec
import pytest

from mrmarket.partners.hufi import launcher, recording_oracle
from mrmarket.partners.hufi.drift import DriftKind
from mrmarket.partners.hufi.errors import (
    HufiAnswerError,
    HufiRefusedError,
    KeyPermissionError,
    KeyRefusedError,
    SandboxError,
)
from mrmarket.partners.hufi.messages import (
    AutoJoin,
    CampaignDetail,
    CampaignItem,
    JoinedItem,
    KeyBody,
    Leaderboard,
    LeaderboardRow,
    Page,
    Preferences,
)
from mrmarket.partners.hufi.registration import ExchangeKey, KeyRegistration
from mrmarket.partners.hufi.sandbox.faults import FaultKind, FaultRule
from mrmarket.partners.hufi.sandbox.server import HufiSandbox
from partners.hufi.hufi_stage import CHAIN, CYCLE_MS, ONE, HufiStage, manifest, trade


class Reach:
    """What an exchange says of a key."""

    def __init__(self, withdraw: bool | None = False, trade: bool | None = False) -> None:
        self.can_withdraw = withdraw
        self.can_trade = trade


async def test_every_page_is_walked(stage: HufiStage) -> None:
    """Twenty-three campaigns in pages of ten arrive once each, newest first."""
    for _ in range(23):
        stage.launch()
        stage.pass_time(1)
    found = [item.address async for item in stage.launcher.campaigns(CHAIN, page=10)]
    wanted = sorted(stage.sandbox.book.campaigns.values(), key=lambda one: -one.created_ms)
    assert found == [one.offer.address for one in wanted]
    assert [item async for item in stage.launcher.campaigns(1)] == []


async def test_filters_reach_the_server(stage: HufiStage) -> None:
    """By status and by exchange."""
    stage.launch(exchange="gate")
    gone = stage.launch()
    stage.sandbox.cancel(gone.offer.address)
    by_status = [one.address async for one in stage.launcher.campaigns(CHAIN, status="to_cancel")]
    by_exchange = [one.exchange_name async for one in stage.launcher.campaigns(CHAIN, exchange="gate")]
    assert (by_status, by_exchange) == ([gone.offer.address], ["gate"])


async def test_the_sandbox_says_what_the_contract_says(stage: HufiStage) -> None:
    """Every body has exactly the documented fields: nothing is missing, nothing is beyond our types."""
    campaign = stage.launch()
    await stage.oracle.join(CHAIN, campaign.offer.address)
    stage.feed.made["our key", "ETH/USDT"] = [trade(5, "10")]
    for route, kind, names in (
        (launcher.CAMPAIGN, CampaignDetail, {"campaign": f"{CHAIN}-{campaign.offer.address}"}),
        (recording_oracle.LEADERBOARD, Leaderboard, {"campaign": f"{CHAIN}-{campaign.offer.address}"}),
    ):
        line = stage.launcher_line if route is launcher.CAMPAIGN else stage.oracle_line
        raw = msgspec.json.decode(await line.fetch(route, names=names))
        assert set(raw) == set(kind.__struct_fields__)
        if kind is Leaderboard:
            assert [set(row) for row in raw["data"]] == [set(LeaderboardRow.__struct_fields__)]
    raw = msgspec.json.decode(await stage.launcher_line.fetch(launcher.CAMPAIGNS, query={"chain_id": CHAIN}))
    assert set(raw) == {"has_more", "results"}
    assert set(raw["results"][0]) == set(CampaignItem.__struct_fields__)
    token = await stage.session.token()
    raw = msgspec.json.decode(await stage.oracle_line.fetch(recording_oracle.CAMPAIGNS, token=token))
    assert set(raw["results"][0]) == set(JoinedItem.__struct_fields__)
    assert (await anext(stage.oracle.campaigns())).address == campaign.offer.address
    await stage.launcher.exchanges()
    assert await stage.launcher.trading_pairs("mexc") == ["ETH/USDT"]
    assert await stage.launcher.currencies("mexc") == []
    assert (await stage.launcher.paid(CHAIN, campaign.offer.address)).results == []
    assert stage.drift.found == ()


async def test_a_refusal_has_the_documented_form(stage: HufiStage) -> None:
    """`message`, `timestamp` and `path`, and nothing else."""
    import aiohttp

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{stage.sandbox.oracle_url}/me") as response,
    ):
        told = await response.json()
        assert (response.status, set(told), told["path"]) == (401, {"message", "timestamp", "path"}, "/me")


async def test_a_strange_campaign_does_not_hide_the_others(stage: HufiStage) -> None:
    """One that cannot be read is drift; a new type and a new status are drift and are listed."""
    stage.launch()
    known = await stage.launcher_line.ask(launcher.CAMPAIGNS, Page, query={"chain_id": CHAIN})
    good = known.results[0]
    assert stage.launcher._item({"chain_id": "one"}) is None
    assert stage.launcher._item(good | {"type": "AIRDROP", "status": "asleep"}) is not None
    assert [one.key for one in stage.drift.found if one.kind is DriftKind.UNKNOWN_VALUE] == [
        "unknown_value:GET /campaigns:status=asleep",
        "unknown_value:GET /campaigns:type=AIRDROP",
    ]
    assert [one.kind for one in stage.drift.found].count(DriftKind.UNREADABLE) == 1


async def test_joining_and_its_status(stage: HufiStage) -> None:
    """can_join, then already_joined since when; a second join is a plain no."""
    campaign = stage.launch()
    address = campaign.offer.address
    assert (await stage.oracle.join_status(CHAIN, address)).status == "can_join"
    assert await stage.oracle.join(CHAIN, address) == campaign.id
    status = await stage.oracle.join_status(CHAIN, address)
    assert (status.status, status.joined_at) == ("already_joined", "2023-11-14T22:13:20.000Z")
    with pytest.raises(HufiRefusedError) as refused:
        await stage.oracle.join(CHAIN, address)
    assert (refused.value.status, refused.value.message) == (422, "User already joined")


async def test_a_join_that_arrives_twice_is_one(stage: HufiStage) -> None:
    """The second delivery is refused; whoever asks the status knows that we are in, once."""
    campaign = stage.launch()
    stage.sandbox.faults.set(FaultRule(recording_oracle.JOIN, FaultKind.DUPLICATED))
    with pytest.raises(HufiRefusedError, match="already joined"):
        await stage.oracle.join(CHAIN, campaign.offer.address)
    assert len(campaign.participants) == 1


@pytest.mark.parametrize(
    ("case", "reason", "message"),
    [
        ("cancelled", "ended", "Campaign join is closed: ended"),
        ("over", "ended", "Campaign join is closed: ended"),
        ("full", "max_participants_reached", "Campaign join is closed: max_participants_reached"),
        ("no key", None, "Exchange API key is missing"),
        ("blind key", None, "Exchange API key lacks VIEW_SPOT_TRADING_HISTORY"),
        ("dead key", None, "Exchange API key lacks VIEW_SPOT_TRADING_HISTORY, VIEW_DEPOSIT_ADDRESS"),
    ],
)
async def test_what_stands_in_the_way_of_joining(
    stage: HufiStage, case: str, reason: str | None, message: str
) -> None:
    """422 with the reason, and a status that agrees."""
    campaign = stage.launch(
        type="THRESHOLD_MARKET_MAKING", minimum_volume_target=1, max_participants=1, daily_volume_target=None
    )
    match case:
        case "cancelled":
            stage.sandbox.cancel(campaign.offer.address)
        case "over":
            stage.pass_time(3 * CYCLE_MS)
        case "full":
            campaign.participants.append(type("P", (), {"wallet": "0xother", "joined_ms": 0})())
        case "no key":
            await stage.oracle.drop_key("mexc")
        case "blind key":
            stage.feed.allowed["our key"] = frozenset({"VIEW_DEPOSIT_ADDRESS"})
        case "dead key":
            stage.feed.allowed["our key"] = None
    status = await stage.oracle.join_status(CHAIN, campaign.offer.address)
    assert (status.status, status.reason) == (("join_closed", reason) if reason else ("can_join", None))
    with pytest.raises(HufiRefusedError) as refused:
        await stage.oracle.join(CHAIN, campaign.offer.address)
    assert (refused.value.status, refused.value.message) == (422, message)


async def test_a_stranger_is_not_available(stage: HufiStage) -> None:
    """A campaign that nobody has, or on another chain."""
    campaign = stage.launch()
    assert (await stage.oracle.join_status(CHAIN, "0xnone")).status == "not_available"
    assert (await stage.oracle.join_status(1, campaign.offer.address)).status == "not_available"
    with pytest.raises(HufiRefusedError):
        await stage.oracle.join(1, campaign.offer.address)


async def test_a_new_word_for_joining_is_drift(stage: HufiStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A status that we do not know is an error that says so, and is in the report."""

    async def fetch(*_: object, **__: object) -> bytes:
        return b'{"status": "waitlisted"}'

    await stage.session.token()
    monkeypatch.setattr(stage.oracle_line, "fetch", fetch)
    with pytest.raises(HufiAnswerError):
        await stage.oracle.join_status(CHAIN, "0xaa")
    assert [one.subject for one in stage.drift.found] == ["waitlisted"]


async def test_the_leaderboard_of_the_running_cycle(stage: HufiStage) -> None:
    """Score, volume and estimated reward of a market maker, exact; it closes with the campaign."""
    campaign = stage.launch()
    address = campaign.offer.address
    await stage.oracle.join(CHAIN, address)
    stage.feed.made["our key", "ETH/USDT"] = [trade(5, "100"), trade(6, "100.5", maker=False)]
    board = await stage.oracle.leaderboard(CHAIN, address)
    assert board is not None
    (row,) = board.data
    assert (row.address, str(row.score), str(row.result)) == (stage.wallet, "142.21", "200.5")
    # 900 less 3 % over three cycles, a fifth of the target: 291 × 0.2005
    assert str(row.estimated_reward.normalize()) == "58.3455"
    stage.pass_time(3 * CYCLE_MS)
    await stage.sandbox.record_due()
    assert await stage.oracle.leaderboard(CHAIN, address) is None
    with pytest.raises(HufiRefusedError):
        await stage.oracle.leaderboard(CHAIN, "0xnone")


async def test_keys_are_registered_only_if_they_can_do_nothing(stage: HufiStage) -> None:
    """One that can look is given away, tried, listed and taken back."""
    registration = KeyRegistration(stage.oracle, stage.drift)
    key = ExchangeKey("kucoin", "another", "secret", "passphrase")
    assert (await registration.register(key, Reach())).is_valid
    assert [one.exchange_name for one in await stage.oracle.keys()] == ["kucoin", "mexc"]
    assert stage.sandbox.book.keys[stage.wallet, "kucoin"].extras == {"passphrase": "passphrase"}
    await stage.oracle.drop_key("kucoin")
    assert await stage.oracle.key_exchanges() == ["mexc"]
    assert "another" not in repr(key)


@pytest.mark.parametrize(
    ("key", "reach", "reason"),
    [
        (ExchangeKey("mexc", "k", "s"), Reach(withdraw=True), "it can withdraw"),
        (ExchangeKey("mexc", "k", "s"), Reach(withdraw=None), "does not say whether it can withdraw"),
        (ExchangeKey("mexc", "k", "s"), Reach(trade=True), "it can trade"),
        (ExchangeKey("hyperliquid", "k", "s"), Reach(), "the wallet's own address"),
        (ExchangeKey("binance", "k", "s"), Reach(), "HuFi takes keys of bigone"),
        (ExchangeKey("mexc", "", "s"), Reach(), "1 to 200 characters"),
        (ExchangeKey("mexc", "k" * 201, "s"), Reach(), "1 to 200 characters"),
        (ExchangeKey("mexc", "k", "s" * 5001), Reach(), "and a secret"),
        (ExchangeKey("mexc", "k", "s", "more"), Reach(), "nothing but a key and a secret"),
        (ExchangeKey("kucoin", "k", "s", "short"), Reach(), "passphrase"),
        (ExchangeKey("kucoin", "k", "s", "has blanks"), Reach(), "passphrase"),
        (ExchangeKey("bitmart", "k", "s"), Reach(), "api_key_memo"),
    ],
)
async def test_other_keys_never_leave(stage: HufiStage, key: ExchangeKey, reach: Reach, reason: str) -> None:
    """Each is refused with its reason before anything is sent."""
    with pytest.raises(KeyRefusedError, match=reason):
        await KeyRegistration(stage.oracle, stage.drift).register(key, reach)
    assert set(stage.sandbox.book.keys) == {(stage.wallet, "mexc")}
    assert stage.signed == []


async def test_a_permission_that_is_missing_is_named(stage: HufiStage) -> None:
    """A key that HuFi cannot use is told; a permission that nobody knew is drift."""
    registration = KeyRegistration(stage.oracle, stage.drift)
    stage.sandbox.oracle.extra_permissions = ("VIEW_MOON_PHASE",)
    with pytest.raises(KeyPermissionError) as lacking:
        await registration.check("mexc")
    assert lacking.value.missing == ("VIEW_MOON_PHASE",)
    assert [one.key for one in stage.drift.found] == [
        "new_permission:POST /exchange-api-keys/{exchange_name}/revalidate:VIEW_MOON_PHASE"
    ]
    stage.feed.allowed["our key"] = None
    with pytest.raises(KeyPermissionError, match="a valid key"):
        await registration.check("mexc")


async def test_the_server_judges_keys_too(stage: HufiStage) -> None:
    """What our side would not send is refused there."""
    for body in (KeyBody("binance", "k", "s"), KeyBody("mexc", "", "s")):
        with pytest.raises(HufiRefusedError) as refused:
            await stage.oracle.put_key(body)
        assert refused.value.status == 400
    with pytest.raises(HufiRefusedError):
        await stage.oracle.check_key("gate")


async def test_preferences_arrive(stage: HufiStage) -> None:
    """Automatic joining by HuFi itself can be switched off."""
    await stage.oracle.prefer(Preferences(AutoJoin(False)))
    assert stage.sandbox.book.preferences[stage.wallet] == Preferences(AutoJoin(False))


async def test_a_sandbox_refuses_nonsense(stage: HufiStage) -> None:
    """A second campaign on one escrow, a stranger, a body that is none, a limit that is none."""
    campaign = stage.launch()
    sandbox: HufiSandbox = stage.sandbox
    with pytest.raises(SandboxError):
        sandbox.launch(msgspec.json.encode(manifest()), ONE, address=campaign.offer.address)
    with pytest.raises(SandboxError):
        sandbox.cancel("0xnone")
    for query in ({"limit": 1001}, {"limit": "x"}, {"chain_id": "x"}):
        with pytest.raises(HufiRefusedError) as refused:
            await stage.launcher_line.fetch(launcher.CAMPAIGNS, query={"chain_id": CHAIN, **query})
        assert refused.value.status == 400
    with pytest.raises(HufiRefusedError):
        await stage.oracle._fetch(recording_oracle.JOIN, body=AutoJoin(True))
