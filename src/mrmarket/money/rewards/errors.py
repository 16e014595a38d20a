"""What can go wrong with rewards. Nothing is half done when one of these is raised."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class RewardsError(MrMarketError):
    """Rewards were not received, allocated or paid as asked; no balance has changed."""

    code = "rewards_error"


class UnknownCampaignError(RewardsError):
    """There is no such campaign."""

    code = "unknown_campaign"

    def __init__(self, campaign: str) -> None:
        self.campaign = campaign
        super().__init__(
            f"there is no campaign {campaign!r}; register it first, or list the campaigns for the ids"
        )


class CampaignConflictError(RewardsError):
    """A campaign id came back with other terms."""

    code = "campaign_conflict"

    def __init__(self, campaign: str) -> None:
        self.campaign = campaign
        super().__init__(f"campaign {campaign!r} is registered with other terms; take a new id")


class UnknownDayError(RewardsError):
    """A campaign has no such day."""

    code = "unknown_campaign_day"

    def __init__(self, campaign: str, day: int, days: int) -> None:
        self.campaign = campaign
        self.day = day
        self.days = days
        super().__init__(f"campaign {campaign!r} has no day {day}; give one from 0 to {days - 1}")


class WindowOpenError(RewardsError):
    """A day is not over."""

    code = "reward_window_open"
    retryable = True

    def __init__(self, campaign: str, day: int, end_ms: int, now_ms: int) -> None:
        self.campaign = campaign
        self.day = day
        self.end_ms = end_ms
        self.now_ms = now_ms
        super().__init__(
            f"day {day} of campaign {campaign!r} ends in {end_ms - now_ms} ms;"
            " allocate it then, or preview it now"
        )


class UnknownEntryError(RewardsError):
    """There is no such reward entry."""

    code = "unknown_reward_entry"

    def __init__(self, source: str, ref: str) -> None:
        self.source = source
        self.ref = ref
        super().__init__(f"no reward was received from {source!r} as {ref!r}; list the entries for the names")


class EntryConflictError(RewardsError):
    """One name in the world came with two contents."""

    code = "reward_entry_conflict"

    def __init__(self, source: str, ref: str) -> None:
        self.source = source
        self.ref = ref
        super().__init__(
            f"{source!r} told of {ref!r} with other content before; look at both, nothing was posted"
        )


class UnknownRunError(RewardsError):
    """There is no such allocation."""

    code = "unknown_reward_run"

    def __init__(self, run: str) -> None:
        self.run = run
        super().__init__(f"there is no allocation {run!r}; list the runs for the ids")


class ShareHistoryError(RewardsError):
    """A share history holds what cannot be."""

    code = "share_history"

    def __init__(self, account: str, at_ms: int, reason: str) -> None:
        self.account = account
        self.at_ms = at_ms
        self.reason = reason
        super().__init__(f"{account!r} at {at_ms} ms: {reason}; correct the history before you allocate")


class PooledBookError(RewardsError):
    """Fills were to be attributed to users of a book that they share."""

    code = "per_fill_needs_segregated_books"

    def __init__(self, pool: str, reason: str) -> None:
        self.pool = pool
        self.reason = reason
        super().__init__(
            f"fills of pool {pool!r} belong to nobody in particular ({reason}); in a pooled book everybody's"
            " money makes every fill; allocate by shares, or give every user a book of their own"
        )


class UnknownAttributionError(RewardsError):
    """A campaign asks for a rule that this instance does not offer."""

    code = "unknown_attribution"

    def __init__(self, name: str, offered: tuple[str, ...]) -> None:
        self.name = name
        self.offered = offered
        super().__init__(f"there is no attribution {name!r}; choose one of {', '.join(offered)}")


class RewardPostingError(RewardsError):
    """The books refused a posting."""

    code = "reward_posting_refused"

    def __init__(self, key: str, rule: str, message: str) -> None:
        self.key = key
        self.rule = rule
        super().__init__(f"{key}: the books refused it ({rule}: {message}); look at the accounts and repeat")


class InputsMovedError(RewardsError):
    """What an allocation was computed from changed before it was written down."""

    code = "reward_inputs_moved"
    retryable = True

    def __init__(self, campaign: str, day: int) -> None:
        self.campaign = campaign
        self.day = day
        super().__init__(
            f"rewards of day {day} of campaign {campaign!r} changed meanwhile; repeat the allocation"
        )


class ExcessReductionError(RewardsError):
    """More was to be taken back than came in."""

    code = "reward_reduction_exceeds"

    def __init__(self, entry: str, left: int, wanted: int) -> None:
        self.entry = entry
        self.left = left
        self.wanted = wanted
        super().__init__(f"entry {entry} has {left} units left, not {wanted}; give at most that")


class JobsError(MrMarketError):
    """A list of jobs that cannot be carried out."""

    code = "jobs_error"

    def __init__(self, job: str, scope: str, reason: str) -> None:
        self.job = job
        self.scope = scope
        self.reason = reason
        super().__init__(f"job {job!r} of {scope!r}: {reason}")
