"""Campaigns and partners from memory; it implements the API's port, nothing of ours is replaced."""

from __future__ import annotations

from typing import Final, Literal

from mrmarket.services.api import partner_schema as schema
from mrmarket.services.api.refusals import NotFoundError

NOW_MS: Final = 1_700_000_000_000
DAY_MS: Final = 86_400_000
CAMPAIGN: Final = "hufi-1338-0x3f5ce5fbfe3e9af3971dd833d26ba9b5c936f0be"
ENTRY: Final = "0b7c1a52-3c55-5b0a-9d0c-6a2f8a3d7b41"
PAYOUT_TX: Final = "0x9f" + "3c" * 31
SWEEP_TX: Final = "0x41" + "d7" * 31
RECEIPT: Final = "be" * 32
EXPLORER: Final = "https://explorer.example/tx/"
OWNED: Final = {"alice": "of-alice", "bob": "of-bob"}


def card(stage: str, name: str = CAMPAIGN, **more: object) -> schema.CampaignCard:
    """A campaign with three of its ten days gone."""
    fields: dict[str, object] = {
        "id": name,
        "partner": "hufi",
        "stage": stage,
        "joined": stage in {"joined", "active", "ended", "paid_out"},
        "exchange": "mexc",
        "market": "HMT/USDT",
        "measure": "volume",
        "start_ms": NOW_MS - 3 * DAY_MS - DAY_MS // 2,
        "end_ms": NOW_MS + 6 * DAY_MS + DAY_MS // 2,
        "cycles": 10,
        "cycle": 3,
        "cycle_end_ms": NOW_MS + DAY_MS // 2,
        "token": "HMT",
        "chain_id": 1338,
        "fund": "9000",
        "paid": "1350.250000000000000001",
        "expected": "412.5",
        "target": "250000",
        "goal": "25000",
        "volume": "16250.75",
        "pause": "none",
        "parked": 0,
    }
    return schema.CampaignCard(**(fields | more))  # type: ignore[arg-type] # each is of its field's type


WAITING: Final = {
    "cycle": None,
    "cycle_end_ms": None,
    "paid": "0",
    "expected": None,
    "goal": None,
    "volume": None,
    "pause": "",
}
STATES: Final[tuple[Literal["arrived", "sweeping", "entered"], ...]] = ("arrived", "sweeping", "entered")
PAID: Final = {**WAITING, "paid": "880"}


def step(name: schema.StepName, state: schema.StepState, **more: object) -> schema.TraceStep:
    """One of the six."""
    return schema.TraceStep(name=name, state=state, **more)  # type: ignore[arg-type] # each is of its field's type


def trace(name: str, account: str) -> schema.RewardTraceView:
    """A reward that is on its way to a wallet."""
    at_ms = NOW_MS - 3_600_000
    token, asset = {"amount": "450.125", "asset": "HMT"}, {"asset": "mixin:HMT"}
    return schema.RewardTraceView(
        id=name,
        campaign=CAMPAIGN,
        cycle=2,
        start_ms=NOW_MS - 2 * DAY_MS,
        end_ms=NOW_MS - DAY_MS,
        asset="mixin:HMT",
        amount="112.53125",
        account=account,
        state="now",
        explorers={"1338": EXPLORER},
        steps=[
            step(
                "transaction",
                "done",
                at_ms=at_ms,
                ids=[schema.TraceId(kind="transaction", id=PAYOUT_TX, chain_id=1338, at_ms=at_ms)],
                **token,
            ),
            step(
                "entry",
                "done",
                amount="450.125",
                at_ms=at_ms + 60_000,
                ids=[
                    schema.TraceId(kind="entry", id=ENTRY, at_ms=at_ms + 60_000),
                    schema.TraceId(kind="group", id="412", at_ms=at_ms + 60_000),
                ],
                **asset,
            ),
            step(
                "transfer",
                "done",
                at_ms=at_ms + 120_000,
                ids=[
                    schema.TraceId(kind="transfer", id=f"sweep:1338:0xbb:{at_ms}", at_ms=at_ms),
                    schema.TraceId(kind="transaction", id=SWEEP_TX, chain_id=1338, at_ms=at_ms + 90_000),
                ],
                **token,
            ),
            step(
                "allocation",
                "done",
                amount="112.53125",
                at_ms=at_ms + 180_000,
                ids=[schema.TraceId(kind="allocation", id=name, at_ms=at_ms + 180_000)],
                **asset,
            ),
            step(
                "credit",
                "done",
                amount="112.53125",
                at_ms=at_ms + 181_000,
                ids=[schema.TraceId(kind="group", id="415", at_ms=at_ms + 181_000)],
                **asset,
            ),
            step(
                "receipt",
                "now",
                amount="100",
                at_ms=at_ms + 240_000,
                detail="12.53125 of it are still on the balance",
                ids=[
                    schema.TraceId(
                        kind="payout", id=RECEIPT, amount="100", asset="mixin:HMT", at_ms=at_ms + 240_000
                    )
                ],
                **asset,
            ),
        ],
    )


class FakePartners:
    """One campaign that runs, and everybody at home; `asked` remembers the owner's words."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.standing: dict[str, schema.Wish] = {}

    async def campaigns(self) -> schema.CampaignBoard:
        """One runs, one may be joined, one is over, one was refused."""
        cards = {
            "active": [card("active")],
            "joinable": [card("joinable", f"{CAMPAIGN[:-1]}1", market="ETH/USDT", **WAITING)],
            "paid_out": [
                card("paid_out", f"{CAMPAIGN[:-1]}2", market="BTC/USDT", **WAITING | {"paid": "880"})
            ],
            "refused": [card("refused", f"{CAMPAIGN[:-1]}3", measure="balance", market="HMT", **WAITING)],
        }
        stages = (
            *("discovered", "joinable", "joining", "unknown", "joined"),
            *("active", "ended", "paid_out", "cancelled", "refused"),
        )
        columns = [schema.CampaignColumn(stage=stage, cards=cards.get(stage, [])) for stage in stages]
        return schema.CampaignBoard(at_ms=NOW_MS, columns=columns)

    async def campaign(self, campaign: str) -> schema.CampaignPageView:
        """The one that runs."""
        if campaign != CAMPAIGN:
            raise NotFoundError("campaign", campaign)
        start_ms = NOW_MS - 3 * DAY_MS - DAY_MS // 2
        cycles = [
            schema.CycleView(
                cycle=number,
                start_ms=start_ms + number * DAY_MS,
                end_ms=start_ms + (number + 1) * DAY_MS,
                goal="25000",
                pause="none" if number == 3 else "over",
                expected=expected,
                paid=paid,
                difference=difference,
            )
            for number, (expected, paid, difference) in enumerate(
                [
                    ("430", "450.125", "20.125"),
                    ("470", "450.000000000000000001", "-19.999999999999999999"),
                    ("450", "450.125", "0.125"),
                    ("412.5", "0", None),
                ]
            )
        ]
        payouts = [
            schema.CampaignPayout(
                id=f"payout-{number}",
                chain_id=1338,
                tx=PAYOUT_TX,
                cycle=number,
                amount="450.125",
                state=state,
                at_ms=start_ms + (number + 1) * DAY_MS + 60_000,
                entry=ENTRY,
            )
            for number, state in enumerate(STATES)
        ]
        return schema.CampaignPageView(
            at_ms=NOW_MS,
            card=card("active"),
            cycles=cycles,
            payouts=payouts,
            explorers={"1338": EXPLORER},
        )

    async def campaign_notes(self, campaign: str) -> schema.CampaignPageView:
        """The same with notes."""
        page = await self.campaign(campaign)
        page.owner = schema.OwnerNotes(
            wallet="0x5b38da6a701c568545dcfcb03fcb875f56beddc4",
            account="default",
            joined_ms=NOW_MS - 3 * DAY_MS,
            reason="it should leave 21.40 after its cost",
            wish=self.standing.get(campaign, "automatic"),
            cost="9.1",
            value="30.5",
            price_source="coingecko",
            cost_ceiling="24.4",
            goal_reason="",
            events=[
                schema.CampaignEvent(
                    at_ms=NOW_MS - 4 * DAY_MS, event="discovered", stage="discovered", reason=""
                ),
                schema.CampaignEvent(at_ms=NOW_MS - 3 * DAY_MS, event="joined", stage="joined", reason=""),
                schema.CampaignEvent(at_ms=NOW_MS - 3 * DAY_MS, event="started", stage="active", reason=""),
            ],
        )
        return page

    async def wish(self, campaign: str, wish: schema.Wish, by: str) -> schema.CampaignPageView:
        """Heard."""
        await self.campaign(campaign)
        self.asked.append((campaign, wish, by))
        self.standing[campaign] = wish
        return await self.campaign_notes(campaign)

    async def own_trace(self, user: str, allocation: str) -> schema.RewardTraceView:
        """Their one."""
        if OWNED.get(user) != allocation:
            raise NotFoundError("allocation", allocation)
        return trace(allocation, f"user:{user}")

    async def trace(self, reward: str) -> schema.RewardTraceView:
        """The one entry."""
        if reward != ENTRY:
            raise NotFoundError("reward", reward)
        return trace(reward, "")

    async def partners(self) -> schema.PartnersView:
        """All of them, well."""
        return schema.PartnersView(
            at_ms=NOW_MS,
            configured=True,
            chains=[
                schema.ChainView(
                    name="sandbox", chain_id=1338, head=20_412, read=20_411, final=20_399, lag=1,
                    confirmations=12, halted="", problem="", explorer=EXPLORER,
                )
            ],
            vaults=[
                schema.VaultView(
                    chain="sandbox",
                    chain_id=1338,
                    account="0x5b38da6a701c568545dcfcb03fcb875f56beddc4",
                    coins="0.41",
                    next_nonce=7,
                    pending=1,
                    window_s=86_400,
                    tokens=[
                        schema.VaultTokenView(
                            code="HMT", address="0xbb", balance="450.125", waiting="450.125",
                            limit="10000", spent="900.25", minimum_sweep="1",
                        )
                    ],
                    destinations=["0x2b5ad5c4795c026514f8317c7a215e218dccd6cf"],
                    latest=[
                        schema.VaultPaymentView(
                            key=f"sweep:1338:0xbb:{NOW_MS}", state="mined", amount="450.125", token="HMT",
                            destination="0x2b5ad5c4795c026514f8317c7a215e218dccd6cf", nonce=6,
                            tx=SWEEP_TX, at_ms=NOW_MS - 60_000, reason="",
                        )
                    ],
                    problem="",
                )
            ],
            mixin=schema.MixinView(
                app_id="773e5e77-4107-45c2-b648-8fc722ed77f5",
                name="Mr. Market",
                balances=[schema.PartnerBalance(asset="HMT", amount="900.25")],
                pending=0,
                problem="",
            ),
            hufi=schema.HufiView(
                wallet="0x5b38da6a701c568545dcfcb03fcb875f56beddc4",
                login="in",
                drifts=[
                    schema.DriftView(
                        kind="unknown_field", route="GET /campaigns", subject="results[].sponsor", count=12,
                        first_ms=NOW_MS - DAY_MS, last_ms=NOW_MS - 60_000,
                    )
                ],
                beyond=0,
                problem="",
            ),
            sweeps=await self.sweeps(),
            can_sweep=True,
            can_wish=True,
        )  # fmt: skip

    async def sweeps(self) -> schema.SweepsView:
        """One waits, one is under way."""
        return schema.SweepsView(
            plans=[schema.SweepPlan(chain_id=1338, token="0xbb", code="HMT", amount="450.125", payouts=1)],
            under_way=[
                schema.OpenSweep(
                    key=f"sweep:1338:0xbb:{NOW_MS}",
                    chain_id=1338,
                    code="HMT",
                    amount="450.125",
                    payouts=1,
                    state="mined",
                    tx=SWEEP_TX,
                )
            ],
        )

    async def sweep_now(self, by: str) -> schema.SweepsView:
        """Heard."""
        self.asked.append(("", "sweep", by))
        return await self.sweeps()
