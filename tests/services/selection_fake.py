"""A choice between strategies from memory; it implements the API's port."""

from __future__ import annotations

from typing import Final

from mrmarket.core.errors import InvalidInputError
from mrmarket.services.api import selection_schema as schema
from mrmarket.trading.strategy.selection.thresholds import Thresholds

NOW_MS: Final = 1_700_000_000_000


def score(name: str, value: float | None, *, live: bool = False) -> schema.ScoreView:
    """A score with an uncertainty of its own size."""
    known = value is not None
    return schema.ScoreView(
        candidate=name,
        source="live" if live else "paper" if known else "none",
        mean=None if value is None else value + 0.0004,
        trust=0.9 if live else 0.45,
        error=0.0003 if known else None,
        samples=42.0 if known else 2.0,
        switch_cost=0.0 if live else 0.0001,
        value=value,
        upper=None if value is None else value + 0.0008,
        why_not="" if known else "few_samples",
    )


SCORES: Final = [score("main", 0.0011, live=True), score("adaptive", None), score("arbitrage", 0.0018)]


def decision(number: int, outcome: str, verdict: str, reason: str, **more: object) -> schema.DecisionView:
    """One of a list, a minute older than the one before."""
    fields: dict[str, object] = {
        "current": "main",
        "challenger": "arbitrage",
        "current_value": 0.0011,
        "challenger_value": 0.0018,
        "needed": 0.00165,
        "streak": 3,
        "resumes": False,
        "by": "",
        "changed": {},
        **more,
    }
    return schema.DecisionView(
        at_ms=NOW_MS - number * 60_000,
        number=number,
        outcome=outcome,
        verdict=verdict,
        reason=reason,
        scores=SCORES,
        **fields,  # type: ignore[arg-type] # by name
    )


DECISIONS: Final = [
    decision(1, "stay", "dwell", "arbitrage scores more, but main keeps its turn for another 240 s"),
    decision(2, "started", "proven", "main goes on: it scores more", challenger="main", resumes=True),
    decision(3, "switch", "better", "arbitrage scores +0.1800 %/h, at least the +0.1650 %/h that it takes"),
    decision(
        4,
        "tuned",
        "owner_tuned",
        "thresholds changed by owner: ratio 1.5 → 2",
        by="owner",
        changed={"ratio": 2.0},
    ),
]


class FakeSelection:
    """Three candidates; market making has the turn."""

    def __init__(self) -> None:
        self.thresholds = Thresholds()
        self.caps: dict[str, float] = {}
        self.asked: list[str] = []

    def standing(self) -> schema.SelectionView:
        """Where it stands."""
        kinds = {
            "main": ("market_making", "pure_market_making"),
            "adaptive": ("market_making", "glft"),
            "arbitrage": ("arbitrage", "cross_exchange_arbitrage"),
        }
        return schema.SelectionView(
            at_ms=NOW_MS,
            evaluated_ms=NOW_MS - 2_000,
            state="market_making",
            phase="steady",
            current="main",
            target="",
            since_ms=NOW_MS - 360_000,
            switches_last_hour=1,
            reason=DECISIONS[0].reason,
            verdict=DECISIONS[0].verdict,
            candidates=[
                schema.CandidateView(
                    id=name,
                    activity=activity,  # type: ignore[arg-type] # one of the words
                    strategy=strategy,
                    run="simulated.BTCUSDT" if activity == "market_making" else name,
                    account="default" if activity == "market_making" else name,
                    has_turn=name == "main",
                    can_interrupt=True,
                    rests_until_ms=None,
                    interrupted_at_ms=NOW_MS - 360_000 if name == "arbitrage" else None,
                    waits=False,
                    paper_worth=0.5,
                    paper_off="a bug of its own" if name == "adaptive" else "",
                    cap=self.caps.get(name, 1.0),
                    capped_by_owner=name in self.caps,
                    score=next(each for each in SCORES if each.candidate == name),
                )
                for name, (activity, strategy) in kinds.items()
            ],
            slices=[
                schema.SliceView(
                    run="simulated.BTCUSDT",
                    candidate="main",
                    share=0.62,
                    wanted=0.62,
                    limit="7000",
                    budget="6200",
                    in_play="5100.5",
                    bound_by=[],
                ),
                schema.SliceView(
                    run="arbitrage",
                    candidate="arbitrage",
                    share=0.2,
                    wanted=0.71,
                    limit="2000",
                    budget=None,
                    in_play="0",
                    bound_by=["slice"],
                ),
            ],
            idle_share=0.18,
            capital="10000",
            drawdown=0.01,
            budgets_bind=True,
            thresholds=self.thresholds,
        )

    async def decisions(self, limit: int, before: tuple[int, int] | None) -> list[schema.DecisionView]:
        """Newest first."""
        older = [each for each in DECISIONS if before is None or (each.at_ms, each.number) < before]
        return older[:limit]

    async def tune(self, thresholds: Thresholds, by: str) -> schema.SelectionView:
        """From now on."""
        self.asked.append(by)
        self.thresholds = thresholds
        return self.standing()

    async def set_cap(self, candidate: str, share: float | None, by: str) -> schema.SelectionView:
        """From now on."""
        if candidate not in {"main", "adaptive", "arbitrage"}:
            raise InvalidInputError("candidate", candidate, "another")
        self.asked.append(by)
        self.caps.pop(candidate, None)
        if share is not None:
            self.caps[candidate] = share
        return self.standing()

    def rebalance(self) -> list[schema.RebalanceView]:
        """One plan waits until it was decided; one transfer has arrived."""
        move = schema.RebalanceMove(
            source="simulated/arbitrage",
            target="second/arbitrage",
            amount="0.5",
            fee="0.0001",
            why="brings 25000 units for 10000",
        )
        plans = [schema.RebalanceProposal(id="BTC-1", asset="BTC", value="30000", at_ms=NOW_MS, moves=[move])]
        return [
            schema.RebalanceView(
                candidate="arbitrage",
                places=["simulated/arbitrage", "second/arbitrage"],
                problem="",
                proposals=[] if "BTC-1" in self.asked else plans,
                transfers=[
                    schema.TransferView(
                        key="rb1-USDT-r1-0",
                        asset="USDT",
                        source="second/arbitrage",
                        target="simulated/arbitrage",
                        amount="12000",
                        fee="1",
                        stage="arrived",
                        approved_by="limit",
                        reason="",
                    )
                ],
                left=[],
            )
        ]

    async def decide_rebalance(self, proposal: str, by: str, *, approve: bool) -> list[schema.RebalanceView]:
        """Once."""
        if proposal != "BTC-1" or proposal in self.asked:
            raise InvalidInputError("proposal", proposal, "one that waits")
        self.asked.extend([by, proposal, str(approve)])
        return self.rebalance()

    async def dry_run(self, thresholds: Thresholds) -> schema.DryRunResult:
        """A day with one switch less."""
        if thresholds.ratio > 99:
            raise InvalidInputError("ratio", thresholds.ratio, "less")
        return schema.DryRunResult(
            from_ms=NOW_MS - 86_400_000,
            to_ms=NOW_MS,
            evaluations=8_640,
            switches=[DECISIONS[2]],
            share={"main": 0.75, "arbitrage": 0.25},
            earned=0.021,
            was_switches=2,
            was_share={"main": 0.9, "arbitrage": 0.1},
            was_earned=0.018,
            held_back={"dwell": 12, "not_better": 8_000},
        )
