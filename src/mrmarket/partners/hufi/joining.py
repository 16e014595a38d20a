"""Which campaigns to take part in: rules, and a decision with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from mrmarket.campaigns.entity import Campaign, Stage
from mrmarket.campaigns.offer import Measure, Offer
from mrmarket.campaigns.ports import JoinVerdict
from mrmarket.core.decimals import format_decimal
from mrmarket.core.errors import InvalidInputError

_MEASURES: Final = frozenset(Measure)
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class JoinRules:
    """What the owner wants. An empty set allows none, so that nothing is joined by an oversight."""

    enabled: bool = False
    exchanges: frozenset[str] = frozenset()
    measures: frozenset[Measure] = _MEASURES
    tokens: frozenset[str] = frozenset()
    """Rewards worth having, as `chain:address` in lower case; a symbol proves nothing."""
    min_net_value: Decimal = Decimal(0)
    """Least expected reward less its cost, over the whole campaign, in the quote asset."""
    wallet: str = ""
    """That takes part; lower case."""
    accounts: Mapping[str, str] = field(default_factory=lambda: _NONE)
    """Label of our account, by exchange."""
    max_joined: int = 10
    """Campaigns at a time."""
    min_left_ms: int = 3_600_000
    """A campaign that is over sooner is not worth beginning."""

    def __post_init__(self) -> None:
        if not self.min_net_value.is_finite() or self.max_joined < 0 or self.min_left_ms < 0:
            raise InvalidInputError(
                "join rules", (str(self.min_net_value), self.max_joined), "finite figures not below zero"
            )


def decide(
    offer: Offer, rules: JoinRules, others: Sequence[Campaign], net_value: Decimal | None, at_ms: int
) -> JoinVerdict:
    """Whether to take part.

    `others` are all campaigns that we know; `net_value` is the expected reward less its cost over what is
    left of the campaign, None where nobody can say.
    """
    for rule in (_asked_for, _in_time, _one_each):
        refusal = rule(offer, rules, others, at_ms)
        if refusal is not None:
            return JoinVerdict(False, *refusal)
    if net_value is None:
        return JoinVerdict(False, "unpriced", "nobody knows what its reward is worth")
    if net_value < rules.min_net_value:
        sentence = (
            f"it should leave {_say(net_value)} after its cost, and {_say(rules.min_net_value)} is the least"
        )
        return JoinVerdict(False, "net_reward", sentence)
    return JoinVerdict(True, "join", f"it should leave {_say(net_value)} after its cost")


class JoinRuleBook:
    """The rules with somebody who knows what an offer should bring: a `JoinPolicy`."""

    def __init__(self, rules: JoinRules, appraise: Callable[[Offer, int], Decimal | None]) -> None:
        """`appraise(offer, at_ms)` is the expected reward less its cost, in the quote asset."""
        self._rules = rules
        self._appraise = appraise

    def judge(self, offer: Offer, others: Sequence[Campaign], at_ms: int) -> JoinVerdict:
        """Decide on an offer; the appraisal is asked for only where it matters."""
        verdict = decide(offer, self._rules, others, None, at_ms)
        if verdict.code != "unpriced":
            return verdict
        return decide(offer, self._rules, others, self._appraise(offer, at_ms), at_ms)


_Refusal = tuple[str, str] | None


def _asked_for(offer: Offer, rules: JoinRules, others: Sequence[Campaign], at_ms: int) -> _Refusal:  # noqa: ARG001 - one shape for all rules
    if not rules.enabled:
        return "disabled", "joining by itself is switched off"
    if offer.exchange not in rules.exchanges:
        return "exchange", f"{offer.exchange} is not among the exchanges that are wanted"
    if offer.measure not in rules.measures:
        return "type", f"campaigns that count {offer.measure.value} are not wanted"
    token = f"{offer.token.chain_id}:{offer.token.address}"
    if token not in rules.tokens:
        return "token", f"its reward {offer.token.symbol} ({token}) is not among those that are wanted"
    if not offer.fund_units:
        return "fund", "its fund is empty"
    return None


def _in_time(offer: Offer, rules: JoinRules, others: Sequence[Campaign], at_ms: int) -> _Refusal:  # noqa: ARG001 - the same
    left_ms = offer.end_ms - max(at_ms, offer.start_ms)
    if at_ms >= offer.end_ms:
        return "over", "it is over"
    if left_ms < rules.min_left_ms:
        return "too_short", f"only {left_ms // 1000} s of it are left"
    return None


def _one_each(offer: Offer, rules: JoinRules, others: Sequence[Campaign], at_ms: int) -> _Refusal:  # noqa: ARG001 - the same
    """One wallet for each exchange account, once in each campaign: HuFi drops whoever comes second."""
    account = rules.accounts.get(offer.exchange)
    if account is None or not rules.wallet:
        return "account", f"there is no account at {offer.exchange}, or no wallet, to take part with"
    live = [other for other in others if other.stage.takes_part or other.stage is Stage.JOINABLE]
    live = [other for other in live if other.id != offer.id]
    for other in live:
        same_account = (other.offer.exchange, other.account) == (offer.exchange, account)
        if same_account and other.wallet != rules.wallet:
            return "account_taken", f"{account} takes part in {other.id} with another wallet"
        if other.offer.exchange == offer.exchange and other.wallet == rules.wallet and not same_account:
            return "wallet_taken", f"the wallet takes part in {other.id} with another account there"
    if len(live) >= rules.max_joined:
        return "enough", f"{len(live)} campaigns are joined, and {rules.max_joined} is the most"
    return None


def _say(value: Decimal) -> str:
    return format_decimal(value.quantize(Decimal("0.01"))) if abs(value) < 10**20 else f"{value:.3e}"
