"""When to trade for a campaign, how much, and when to stop: one pure function of terms and progress."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Final

from mrmarket.campaigns.entity import Campaign, Stage
from mrmarket.campaigns.offer import Measure, Offer
from mrmarket.campaigns.terms import ExecutionGoal, Limits, Pause, Progress
from mrmarket.core.decimals import format_decimal

_STEP: Final = Decimal("0.00000001")


def decide(campaign: Campaign, progress: Progress | None, limits: Limits, at_ms: int) -> ExecutionGoal | None:
    """The goal of the cycle that runs at a moment; None where there is nothing to tell the engine.

    A campaign that has not begun, is over, counts balances, has met its target, costs more than it brings,
    or whose reward nobody can price, gets a goal that says so and is not worked towards: a pause is told
    like anything else, so that an engine that was trading stops.
    """
    offer = campaign.offer
    if campaign.stage not in {Stage.JOINED, Stage.ACTIVE, Stage.ENDED, Stage.CANCELLED}:
        return None
    cycle = offer.cycle_at(at_ms)
    if campaign.stage in {Stage.ENDED, Stage.CANCELLED} or at_ms >= offer.end_ms:
        last = offer.cycles - 1 if cycle is None else cycle
        return _goal(campaign, last, limits, Decimal(0), Decimal(0), Pause.OVER, "the campaign is over")
    if cycle is None:
        return _goal(
            campaign, 0, limits, Decimal(0), Decimal(0), Pause.NOT_STARTED, "the campaign has not begun"
        )
    if not offer.measure.is_traded:
        sentence = "the campaign counts balances at the moment of the check; there is nothing to trade"
        return _goal(campaign, cycle, limits, Decimal(0), Decimal(0), Pause.NOT_TRADED, sentence)
    if progress is None:
        sentence = "nobody can say how the cycle goes; nothing is spent before somebody can"
        return _goal(campaign, cycle, limits, Decimal(0), Decimal(0), Pause.UNPRICED, sentence)
    volume = wanted_volume(offer, limits, progress)
    ceiling = _ceiling(progress, limits)
    pause, sentence = _pause(offer, progress, volume, ceiling, limits)
    return _goal(campaign, cycle, limits, volume, ceiling or Decimal(0), pause, sentence)


def wanted_volume(offer: Offer, limits: Limits, progress: Progress) -> Decimal:
    """What we are to have traded by the end of the cycle, in the quote asset.

    A shared target is everybody's: what others have brought is not missing any more. A target for each one
    is ours alone. The owner's limit binds both.
    """
    if offer.measure is Measure.VOLUME:
        others = max(Decimal(0), progress.total_volume - progress.volume)
        wanted = min(offer.target * limits.volume_share, max(Decimal(0), offer.target - others))
        wanted = max(wanted, min(progress.volume, offer.target))  # what is made is never asked back
    else:
        wanted = offer.target
    return min(wanted, limits.max_cycle_volume).quantize(_STEP, ROUND_DOWN)


def _ceiling(progress: Progress, limits: Limits) -> Decimal | None:
    if progress.expected_reward_value is None:
        return None
    return max(Decimal(0), progress.expected_reward_value * limits.max_cost_share).quantize(_STEP, ROUND_DOWN)


def _pause(
    offer: Offer, progress: Progress, volume: Decimal, ceiling: Decimal | None, limits: Limits
) -> tuple[Pause, str]:
    if progress.volume >= volume:
        return Pause.TARGET_MET, f"the volume of the cycle is made: {_say(progress.volume)}"
    if offer.measure is not Measure.VOLUME and offer.target > limits.max_cycle_volume:
        return Pause.NOT_WORTH_IT, f"it takes {_say(offer.target)}, more than the owner allows in a cycle"
    if ceiling is None:
        return Pause.UNPRICED, "nobody knows what the reward is worth; nothing is spent on it"
    return _too_dear(progress, ceiling)


def _too_dear(progress: Progress, ceiling: Decimal) -> tuple[Pause, str]:
    total = progress.cost + progress.expected_cost
    if progress.cost > 0 and progress.cost >= ceiling:
        return Pause.COST_CEILING, f"it has cost {_say(progress.cost)}, and {_say(ceiling)} was allowed"
    if total > ceiling:
        return Pause.NOT_WORTH_IT, f"it would cost {_say(total)}, and {_say(ceiling)} is allowed"
    return Pause.NONE, ""


def _goal(
    campaign: Campaign,
    cycle: int,
    limits: Limits,
    volume: Decimal,
    ceiling: Decimal,
    pause: Pause,
    reason: str,
) -> ExecutionGoal:
    offer = campaign.offer
    span = offer.cycle(cycle)
    counts_ms = campaign.joined_ms if campaign.joined_ms < span.end_ms else span.start_ms
    return ExecutionGoal(
        campaign=campaign.id,
        cycle=cycle,
        exchange=offer.exchange,
        account=campaign.account,
        market=offer.market,
        start_ms=max(span.start_ms, counts_ms),
        end_ms=span.end_ms,
        volume=volume,
        min_spread_bps=limits.min_spread_bps,
        max_spread_bps=limits.max_spread_bps,
        max_inventory=limits.max_inventory,
        cost_ceiling=ceiling,
        pause=pause,
        reason=reason,
    )


def _say(value: Decimal) -> str:
    return format_decimal(value.quantize(Decimal("0.01")) if value.adjusted() < 20 else value)  # noqa: PLR2004 - no exponent
