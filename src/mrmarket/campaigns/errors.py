"""What can go wrong with campaigns, each with a stable code and a sentence that says what to do."""

from __future__ import annotations

from typing import ClassVar

from mrmarket.core.errors import MrMarketError


class CampaignError(MrMarketError):
    """Something about a campaign does not fit."""

    code: ClassVar[str] = "campaign"


class UnknownOfferError(CampaignError):
    """A campaign that nobody has seen."""

    code = "campaign_unknown"

    def __init__(self, campaign: str) -> None:
        self.campaign = campaign
        super().__init__(f"there is no campaign {campaign!r} here; look at the list of campaigns")


class OfferConflictError(CampaignError):
    """The terms of a campaign came with other content under the same name."""

    code = "campaign_terms_changed"

    def __init__(self, campaign: str, fields: tuple[str, ...]) -> None:
        self.campaign = campaign
        self.fields = fields
        super().__init__(
            f"{campaign}: {', '.join(fields)} changed, and terms never do; compare the partner's answer with"
            " the manifest, and refuse the campaign if they differ"
        )


class StageConflictError(CampaignError):
    """A campaign was to go where it cannot go from its stage."""

    code = "campaign_stage"

    def __init__(self, campaign: str, stage: str, event: str) -> None:
        self.campaign = campaign
        self.stage = stage
        self.event = event
        super().__init__(
            f"{campaign} is {stage}, and {event!r} does not happen there; read its history and decide by hand"
        )


class PayoutConflictError(CampaignError):
    """The same payout came with other content."""

    code = "campaign_payout_conflict"

    def __init__(self, payout: str, what: str) -> None:
        self.payout = payout
        self.what = what
        super().__init__(f"payout {payout}: {what}; ask the chain again and correct by a new payout")


class UnknownPayoutError(CampaignError):
    """A payout that was never observed."""

    code = "campaign_payout_unknown"

    def __init__(self, payout: str) -> None:
        self.payout = payout
        super().__init__(f"there is no payout {payout!r} here; look at the campaign's payouts")


class JoinRefusedError(CampaignError):
    """The partner does not let us take part, and asking again changes nothing."""

    code = "campaign_join_refused"

    def __init__(self, campaign: str, reason: str) -> None:
        self.campaign = campaign
        self.reason = reason
        super().__init__(f"{campaign}: the partner refused to let us join: {reason}; look for another")


class PartnerUnclearError(CampaignError):
    """A partner's answer is missing or cannot be relied on; what we asked for may have happened."""

    code = "campaign_partner_unclear"
    retryable = True

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"{what}: {why}; nothing is known, so the partner is asked again later")
