"""The line: what is tried again, what is not, and what each failure is called."""

from __future__ import annotations

import pytest

from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.hufi import launcher, login, recording_oracle
from mrmarket.partners.hufi.drift import DriftKind
from mrmarket.partners.hufi.errors import (
    HufiAnswerError,
    HufiRateLimitedError,
    HufiRefusedError,
    HufiRetiredError,
    HufiUnclearError,
)
from mrmarket.partners.hufi.line import HufiLine, LineSettings, Route
from mrmarket.partners.hufi.messages import OracleFees, Page, PaidAmounts
from mrmarket.partners.hufi.sandbox.faults import FaultKind, FaultRule
from partners.hufi.hufi_stage import HufiStage


@pytest.mark.parametrize("kind", [FaultKind.DROPPED, FaultKind.LOST, FaultKind.BROKEN])
async def test_a_safe_question_is_asked_again(stage: HufiStage, kind: FaultKind) -> None:
    """Two failures of whichever kind, then the answer; the pauses double."""
    stage.sandbox.faults.set(FaultRule(login.NONCE, kind, times=2))
    await stage.session.token()
    assert (stage.sandbox.faults.struck, stage.patience.pauses) == (2, [0.1, 0.2])


@pytest.mark.parametrize("kind", [FaultKind.DROPPED, FaultKind.BROKEN])
async def test_patience_ends(stage: HufiStage, kind: FaultKind) -> None:
    """After three tries nothing is known, and the error says so."""
    stage.sandbox.faults.set(FaultRule(login.NONCE, kind, times=9))
    with pytest.raises(HufiUnclearError) as unclear:
        await stage.session.token()
    assert (stage.sandbox.faults.struck, unclear.value.retryable) == (3, True)


@pytest.mark.parametrize("kind", [FaultKind.DROPPED, FaultKind.LOST, FaultKind.BROKEN])
async def test_joining_is_asked_once(stage: HufiStage, kind: FaultKind) -> None:
    """What is not safe to repeat is unclear after one failure; whether it happened, the status tells."""
    campaign = stage.launch()
    await stage.session.token()
    stage.sandbox.faults.set(FaultRule(recording_oracle.JOIN, kind, times=9))
    with pytest.raises(HufiUnclearError):
        await stage.oracle.join(1338, campaign.offer.address)
    assert stage.sandbox.faults.struck == 1
    status = await stage.oracle.join_status(1338, campaign.offer.address)
    assert status.status == ("already_joined" if kind is FaultKind.LOST else "can_join")


async def test_a_late_answer_is_no_answer(stage: HufiStage) -> None:
    """A join that is carried out and answered after the time-out is unclear, and has happened."""
    campaign = stage.launch()
    settings = LineSettings(timeout_s=0.2, tries=1)
    await stage.session.token()
    stage.sandbox.faults.set(FaultRule(recording_oracle.JOIN, FaultKind.LATE, delay_s=1.0))
    async with HufiLine(stage.sandbox.oracle_url, stage.drift, stage.wall, settings) as hasty:
        oracle = recording_oracle.RecordingOracleClient(hasty, stage.session)
        with pytest.raises(HufiUnclearError, match="no answer in time"):
            await oracle.join(1338, campaign.offer.address)
    assert (await stage.oracle.join_status(1338, campaign.offer.address)).status == "already_joined"


async def test_a_wanted_pause_is_kept(stage: HufiStage) -> None:
    """`Retry-After: 7` is waited for, before the next question of anybody on the line."""
    stage.sandbox.faults.set(FaultRule(launcher.FEES, FaultKind.RATE_LIMITED, delay_s=7))
    await stage.launcher.oracle_fees(1338)
    assert stage.patience.pauses == [7.0]


async def test_even_a_join_waits_and_is_repeated_after_a_rate_limit(stage: HufiStage) -> None:
    """429 says that nothing was done, so that asking again is no second join."""
    campaign = stage.launch()
    stage.sandbox.faults.set(FaultRule(recording_oracle.JOIN, FaultKind.RATE_LIMITED, delay_s=2))
    await stage.oracle.join(1338, campaign.offer.address)
    assert len(campaign.participants) == 1


async def test_a_pause_that_is_too_long_is_an_error(stage: HufiStage) -> None:
    """An hour is not waited for; until it is over nobody asks at all."""
    stage.sandbox.faults.set(FaultRule(launcher.FEES, FaultKind.RATE_LIMITED, delay_s=3600))
    for _ in range(2):
        with pytest.raises(HufiRateLimitedError) as limited:
            await stage.launcher.oracle_fees(1338)
        assert limited.value.pause_s == pytest.approx(3600)
    assert (stage.sandbox.faults.struck, stage.patience.pauses) == (1, [])


async def test_limits_without_end_are_an_error(stage: HufiStage) -> None:
    """Three refusals for the pace, each waited for, and the caller is told."""
    stage.sandbox.faults.set(FaultRule(launcher.FEES, FaultKind.RATE_LIMITED, times=9, delay_s=1))
    with pytest.raises(HufiRateLimitedError):
        await stage.launcher.oracle_fees(1338)
    assert stage.patience.pauses == [1.0, 1.0]


async def test_a_retired_route_is_told_from_a_stranger(stage: HufiStage) -> None:
    """404 in the framework's words is drift; in HuFi's own words it is a no."""
    stage.sandbox.faults.set(
        FaultRule(launcher.FEES, FaultKind.RETIRED), FaultRule(launcher.CAMPAIGN, FaultKind.RETIRED)
    )
    for asked in (stage.launcher.oracle_fees(1338), stage.launcher.campaign(1338, "0xaa")):
        with pytest.raises(HufiRetiredError):
            await asked
    with pytest.raises(HufiRefusedError) as stranger:
        await stage.launcher.campaign(1338, "0xaa")
    assert (stranger.value.status, stranger.value.message) == (404, "Campaign not found")
    keys = [drift.key for drift in stage.drift.found]
    assert keys == [
        "retired_route:GET /campaigns/{campaign}:404",
        "retired_route:GET /web3/oracle-fees:404",
    ]


async def test_an_unknown_field_is_noted_and_the_answer_is_used(stage: HufiStage) -> None:
    """Drift is counted under one key, and nobody is stopped by it."""
    stage.sandbox.faults.set(FaultRule(launcher.FEES, FaultKind.EXTRA_FIELD, times=2))
    for _ in range(3):
        await stage.launcher.oracle_fees(1338)
    (found,) = stage.drift.found
    assert (found.key, found.count) == ("unknown_field:GET /web3/oracle-fees:invented_field", 2)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"exchange_oracle_fee": "much"}', b'{"a": NaN}', b"\xff", b"<html>"]
)
async def test_an_answer_that_cannot_be_read_is_drift(stage: HufiStage, content: bytes) -> None:
    """Nothing that is no answer gets through, and the report keeps why."""
    with pytest.raises(HufiAnswerError):
        stage.launcher_line.read(launcher.FEES, content, OracleFees)
    (found,) = stage.drift.found
    assert found.kind is DriftKind.UNREADABLE


async def test_addresses_are_quoted(stage: HufiStage) -> None:
    """A name with a slash stays one part of the path."""
    route = Route("GET", "/exchanges/{name}/trading-pairs", is_safe=True)
    assert await stage.launcher_line.ask(route, list[str], names={"name": "a/b?c"}) == []


async def test_a_line_opens_again_after_it_was_closed(stage: HufiStage) -> None:
    """Closing is no end."""
    await stage.launcher.ping()
    await stage.launcher_line.close()
    await stage.launcher.ping()


async def test_nobody_there_is_unclear(stage: HufiStage) -> None:
    """A closed server is a connection that fails, not a crash."""
    await stage.sandbox.close()
    with pytest.raises(HufiUnclearError, match="the connection failed"):
        await stage.launcher.ping()


def test_a_line_needs_an_address(stage: HufiStage) -> None:
    """Something else than http is refused at once."""
    with pytest.raises(InvalidInputError):
        HufiLine("cl.hu.finance", stage.drift, stage.wall)


async def test_pages_and_rows_are_plain(stage: HufiStage) -> None:
    """Exact numbers arrive as they were written, nested or not."""
    page = stage.launcher_line.read(launcher.CAMPAIGNS, b'{"has_more": false, "results": [{"a": 0.1}]}', Page)
    assert str(page.results[0]["a"]) == "0.1"
    stage.launcher_line.read(
        launcher.PAID, b'{"results": [{"date": "d", "amount": "1", "new": 1}]}', PaidAmounts
    )
    assert [one.subject for one in stage.drift.found] == ["results[].new"]
