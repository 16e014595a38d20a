"""Which campaigns are joined: each rule by itself, with its recorded reason."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace as changed

from mrmarket.campaigns.entity import Campaign, Stage
from mrmarket.campaigns.offer import Measure, Offer
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.hufi.joining import JoinRuleBook, JoinRules, decide
from partners.hufi.hufi_stage import CYCLE_MS, START_MS, offer

RULES: dict[str, Any] = {
    "enabled": True,
    "exchanges": frozenset({"mexc"}),
    "tokens": frozenset({"1338:0xbb"}),
    "min_net_value": Decimal(5),
    "wallet": "0xwe",
    "accounts": {"mexc": "main"},
    "max_joined": 2,
    "min_left_ms": CYCLE_MS,
}


def joined(
    name: str, *, wallet: str = "0xwe", account: str = "main", stage: Stage = Stage.ACTIVE
) -> Campaign:
    """A campaign that we take part in."""
    return Campaign(changed(offer(), id=name), stage, wallet, account, 1, "", 1)


@pytest.mark.parametrize(
    ("rules", "terms", "others", "net", "at_ms", "code"),
    [
        ({}, {}, [], "5", 0, "join"),
        ({"enabled": False}, {}, [], "5", 0, "disabled"),
        ({"exchanges": frozenset()}, {}, [], "5", 0, "exchange"),
        ({}, {"exchange": "gate"}, [], "5", 0, "exchange"),
        ({"measures": frozenset({Measure.BALANCE})}, {}, [], "5", 0, "type"),
        ({"tokens": frozenset({"1:0xbb"})}, {}, [], "5", 0, "token"),
        ({}, {"fund_units": 0}, [], "5", 0, "fund"),
        ({}, {}, [], "5", 3 * CYCLE_MS, "over"),
        ({}, {}, [], "5", 2 * CYCLE_MS + 1, "too_short"),
        ({}, {}, [], "5", 2 * CYCLE_MS, "join"),
        ({}, {}, [], "4.99", 0, "net_reward"),
        ({"min_net_value": Decimal(-9)}, {}, [], "-8", 0, "join"),
        ({}, {}, [], None, 0, "unpriced"),
        ({"accounts": {}}, {}, [], "5", 0, "account"),
        ({"wallet": ""}, {}, [], "5", 0, "account"),
        ({}, {}, [joined("a")], "5", 0, "join"),
        ({}, {}, [joined("a"), joined("b")], "5", 0, "enough"),
        ({}, {}, [joined("a"), joined("b", stage=Stage.ENDED)], "5", 0, "join"),
        ({}, {}, [joined("a", wallet="0xother")], "5", 0, "account_taken"),
        ({}, {}, [joined("a", account="second")], "5", 0, "wallet_taken"),
        ({}, {}, [joined("a", wallet="0xother", stage=Stage.PAID_OUT)], "5", 0, "join"),
        ({}, {}, [joined("hufi-1338-0xaa", wallet="0xother")], "5", 0, "join"),
    ],
)
def test_each_rule_has_its_reason(
    rules: dict[str, Any],
    terms: dict[str, Any],
    others: list[Campaign],
    net: str | None,
    at_ms: int,
    code: str,
) -> None:
    """The code is stable, the reason one sentence, and only `join` joins."""
    value = None if net is None else Decimal(net)
    verdict = decide(offer(**terms), JoinRules(**(RULES | rules)), others, value, START_MS + at_ms)
    assert (verdict.code, verdict.join) == (code, code == "join")
    assert len(verdict.reason) > 5


def test_rules_that_were_never_written_join_nothing() -> None:
    """The default is off, and allows no exchange and no token even when it is switched on."""
    assert decide(offer(), JoinRules(), [], Decimal(1), START_MS).code == "disabled"
    assert decide(offer(), JoinRules(enabled=True), [], Decimal(1), START_MS).code == "exchange"


def test_an_appraisal_is_asked_for_only_where_it_matters() -> None:
    """A price costs a question to somebody; a campaign that is refused anyway is not appraised."""
    asked: list[str] = []

    def appraise(terms: Offer, at_ms: int) -> Decimal | None:
        asked.append(terms.id)
        return Decimal(7)

    book = JoinRuleBook(JoinRules(**RULES), appraise)
    assert book.judge(offer(exchange="gate"), [], START_MS).code == "exchange"
    assert asked == []
    assert book.judge(offer(), [], START_MS).reason == "it should leave 7 after its cost"
    assert asked == ["hufi-1338-0xaa"]


def test_strange_rules_are_refused() -> None:
    """No number of campaigns below zero, no value that is none."""
    for strange in ({"max_joined": -1}, {"min_net_value": Decimal("NaN")}, {"min_left_ms": -1}):
        with pytest.raises(InvalidInputError):
            JoinRules(**(RULES | strange))


def test_huge_values_are_still_said() -> None:
    """A figure beyond a context's digits is no crash."""
    rules = JoinRules(**RULES)
    assert "1.000e+40" in decide(offer(), rules, [], Decimal(10) ** 40, START_MS).reason
