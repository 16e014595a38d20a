"""A business core with every kind of trouble, for what the owner's pages show of it.

`python tests/e2e/admin_fake.py 8090` serves it with the built pages; the owner's password is
`OWNER_PASSWORD`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from e2e.admin_books import ADDRESS, LONG, NOW_MS, MadeUpBooks, forged, touched
from e2e.running import OWNER_PASSWORD
from mrmarket.core.errors import MrMarketError
from mrmarket.services.access.access import Access
from mrmarket.services.access.password import Passwords
from mrmarket.services.access.repository import ControlStore
from mrmarket.services.access.settings import AccessSettings
from mrmarket.services.api import money_schema as money
from mrmarket.services.api.app import create_app
from mrmarket.services.api.partners_face import PartnersFace
from mrmarket.services.api.refusals import NotFoundError
from mrmarket.services.api.selection_face import SelectionFace
from services.face_fake import FakeFace
from services.money_fake import FakeMoney
from services.operations_fake import FakeOperations
from services.partners_fake import FakePartners
from services.selection_fake import FakeSelection

DAY_MS: Final = 86_400_000
GROUPS: Final = 120
SHARE: Final = "1617647.094403629999817332"


class NoMoneyError(MrMarketError):
    """The rail has nothing to pay with."""

    code = "rail_refused"

    def __init__(self) -> None:
        super().__init__("the rail holds too little USDT to pay this; move some there first")


class TroubledMoney(FakeMoney):
    """Implements the face's part for the owner; `well` shows the same without trouble, `empty` nothing."""

    def __init__(self, mood: str = "troubled") -> None:
        super().__init__()
        self.mood = mood
        self.books = MadeUpBooks(GROUPS)
        self.paused: dict[str, str] = {}
        self.retried: list[str] = []
        self.allocated: set[int] = set()
        self.refuse_retry = True
        self.released: list[tuple[str, str]] = []
        self.decided: list[tuple[str, str, str]] = []
        """Parked payment, what becomes of it, and to whom."""

    async def pool_card(self, pool: str) -> money.PoolCard:
        """The pool with terms worth reading."""
        card = await super().pool_card(pool)
        card.nav, card.nav_per_share, card.shares = SHARE, "0.999700794802154829", "1618131.25"
        card.depositors, card.return_day, card.return_week = 3, -0.000365, 0.0123
        card.terms.capacity, card.terms.capacity_left = "10000000", "8382352.905596370000182668"
        card.terms.deposits_paused = self.paused.get("deposits")
        card.terms.withdrawals_paused = self.paused.get("withdrawals")
        return card

    async def pools(self) -> list[money.PoolCard]:
        """The one pool, or none."""
        return [] if self.mood == "empty" else [await self.pool_card("main")]

    async def pool_risk(self, pool: str) -> money.RiskView:
        """Two places."""
        self._pool(pool)
        place = money.PlaceShare
        return money.RiskView(
            allocation=[
                place(place="simulated", asset="BTC", amount="10.01", value="618594.56067", share=0.382),
                place(place="simulated", asset="USDT", amount="998945.57", value="998945.57", share=0.618),
            ],
            volatility_year=0.4312,
            max_drawdown=0.0213,
            service_level=0.9959,
            inventory_share=0.382,
            inventory_target=0.5,
        )

    async def treasury(self) -> money.TreasuryView:
        """One place that does not add up, one not seen for long, one never seen."""
        if self.mood == "empty":
            return money.TreasuryView(lines=[], liabilities=[], blocked={}, solvent=None, checked_at_ms=None)
        bad = self.mood == "troubled"
        line = money.TreasuryLine
        return money.TreasuryView(
            lines=[
                line(
                    place="rail",
                    asset="USDT",
                    observed="99.5" if bad else "100",
                    expected="100",
                    in_transit="0",
                    difference="-0.5" if bad else "0",
                    age_s=4.2,
                    incident="incident-1" if bad else None,
                ),
                line(
                    place="simulated",
                    asset="BTC",
                    observed="10.0247195",
                    expected="10.0170695",
                    in_transit="-0.02472 … 0.0076505",
                    difference="0.00765",
                    age_s=900,
                    incident=None,
                ),
                line(
                    place="simulated",
                    asset="USDT",
                    observed=None,
                    expected="998945.575433380000000001",
                    in_transit="0",
                    difference=None,
                    age_s=None,
                    incident=None,
                ),
            ],
            liabilities=[
                money.Balance(asset="rail:USDT", amount="100", held="0"),
                money.Balance(asset="simulated:BTC", amount="10.0170695", held="0"),
                money.Balance(asset="simulated:USDT", amount="998945.575433380000000001", held="0"),
                money.Balance(asset="pool:main", amount="1618131.25", held="0"),
            ],
            blocked={"USDT": "0.5 USDT are missing at rail"} if bad else {},
            solvent=not bad,
            checked_at_ms=NOW_MS,
        )

    async def reconcile(self) -> money.TreasuryView:
        """Everybody was asked again, and what was missing is there."""
        self.mood = "well"
        return await self.treasury()

    async def incidents(self, limit: int, before_ms: int | None) -> list[money.IncidentView]:
        """An open one and a closed one."""
        if self.mood == "empty":
            return []
        incident = money.IncidentView
        closed = incident(
            id="incident-0",
            asset="BTC",
            place="simulated",
            opened_at_ms=NOW_MS - DAY_MS,
            closed_at_ms=NOW_MS - DAY_MS + 60_000,
            reason="0.1 BTC more than the books know; a deposit arrived",
        )
        still = incident(
            id="incident-1",
            asset="USDT",
            place="rail",
            opened_at_ms=NOW_MS - 600_000,
            closed_at_ms=None,
            reason="99.5 seen where 100 is owed, and nothing on its way explains it",
        )
        return [still, closed] if self.mood == "troubled" else [closed]

    async def release_incident(self, incident: str, request: money.ReleaseRequest) -> money.TreasuryView:
        """Taken as it is."""
        self.released.append((incident, request.reason))
        self.mood = "well"
        return await self.treasury()

    async def reconsider_payment(self, payment: str) -> money.OutboxView:
        """Claimed again."""
        self.decided.append((payment, "reconsider", ""))
        return await self.outbox(None, 100, None)

    async def send_back_payment(self, payment: str, request: money.SendBackRequest) -> money.OutboxView:
        """On its way back."""
        self.decided.append((payment, "back", request.destination))
        return await self.outbox(None, 100, None)

    async def outbox(self, state: str | None, limit: int, before_ms: int | None) -> money.OutboxView:
        """Payments in many states, and one that nobody could be found for."""
        if self.mood == "empty":
            return money.OutboxView(rows=[], counts={}, oldest_age_s=None, parked=[])
        rows = [_payout(number, self.retried) for number in range(75, 0, -1)]
        counts: dict[str, int] = {}
        for row in rows:
            counts[row.state] = counts.get(row.state, 0) + 1
        shown = [row for row in rows if state in (None, row.state)]
        older = [row for row in shown if before_ms is None or row.created_at_ms < before_ms]
        parked = money.OutboxRow(
            id="rail:payment-9", cause="incoming", account="suspense:rail", asset="USDT", amount="12.5",
            destination="mm-demo-stranger", state="parked", reason="no deposit asks for it", attempts=0,
            created_at_ms=NOW_MS - 60_000, updated_at_ms=NOW_MS - 60_000, receipt=None,
        )  # fmt: skip
        waiting = [] if self.decided else [parked]
        return money.OutboxView(rows=older[:limit], counts=counts, oldest_age_s=1260, parked=waiting)

    async def retry_payout(self, payout: str) -> money.OutboxView:
        """Refused once more, then queued."""
        if self.refuse_retry:
            self.refuse_retry = False
            raise NoMoneyError
        self.retried.append(payout)
        return await self.outbox(None, 100, None)

    async def fees(self, pool: str) -> money.FeesView:
        """Fee shares and a deposit fee."""
        return money.FeesView(
            pool=self._pool(pool),
            balances=[
                money.Balance(asset=f"pool:{pool}", amount="0", held="0"),
                money.Balance(asset="rail:USDT", amount="12.34567891", held="1"),
            ],
            by_kind={
                "management": "3.25",
                "performance": "0",
                "value": "15.6",
                "deposit rail:USDT": "12.34567891",
            },
            periods=[],
        )

    async def users(self) -> list[money.UserRow]:
        """Three depositors, one known by an address."""
        if self.mood == "empty":
            return []
        row = money.UserRow
        return [
            row(
                name="alice",
                value="808770.043009580000182668",
                share=0.5,
                earned="-295.581990419999817332",
                rewards="31.3",
                since_ms=NOW_MS - 30 * DAY_MS,
            ),
            row(
                name=ADDRESS,
                value="485262.02",
                share=0.3,
                earned="177.349194251999890399",
                rewards="0",
                since_ms=NOW_MS,
            ),
            row(name="carol", value="323508.01", share=0.2, earned="0", rewards="0", since_ms=None),
        ]

    async def pause_pool(self, pool: str, request: money.PauseRequest) -> money.PoolCard:
        """Closed, with the reason."""
        for what in ("deposits", "withdrawals"):
            if request.what in (what, "both"):
                self.paused[what] = request.reason
        return await super().pause_pool(pool, request)

    async def resume_pool(self, pool: str, request: money.PauseRequest) -> money.PoolCard:
        """Open again."""
        for what in ("deposits", "withdrawals"):
            if request.what in (what, "both"):
                self.paused.pop(what, None)
        return await super().resume_pool(pool, request)

    async def reward_runs(self, limit: int, before_ms: int | None) -> list[money.RewardRunView]:
        """A run a day."""
        if self.mood == "empty":
            return []
        runs = [_run(NOW_MS - NOW_MS % DAY_MS - day * DAY_MS, "credited") for day in range(2, 12)]
        runs = [_run(start, "credited") for start in sorted(self.allocated, reverse=True)] + runs
        return [run for run in runs if before_ms is None or run.start_ms < before_ms][:limit]

    async def preview_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """What is there for a day that is not allocated."""
        start = day_ms - day_ms % DAY_MS
        return [] if start in self.allocated else [_run(start, "preview")]

    async def allocate_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """Allocated."""
        self.allocated.add(day_ms - day_ms % DAY_MS)
        return [_run(day_ms - day_ms % DAY_MS, "credited")]

    async def replay_rewards(self, pool: str, day_ms: int) -> list[money.RewardRunView]:
        """The same again; on even days not."""
        start = day_ms - day_ms % DAY_MS
        even = start // DAY_MS % 2 == 0
        return [_run(start, "recomputed 3.1 HMT for alice, recorded 3.13" if even else "holds")]

    async def jobs(self, limit: int, before_ms: int | None) -> list[money.JobView]:
        """One done, one failed."""
        if self.mood == "empty":
            return []
        job = money.JobView
        start = NOW_MS - NOW_MS % DAY_MS
        return [
            job(
                job="rewards",
                scope="hmt-btc",
                start_ms=start - DAY_MS,
                end_ms=start,
                state="failed",
                attempts=3,
                reason="the score of the campaign has not been told yet",
            ),
            job(
                job="rewards",
                scope="hmt-btc",
                start_ms=start - 2 * DAY_MS,
                end_ms=start - DAY_MS,
                state="done",
                attempts=1,
                reason="",
            ),
        ]

    async def trades(self, user: str | None, limit: int, before_ms: int | None) -> list[money.TradeView]:
        """Buys and sells, a minute apart."""
        if self.mood == "empty":
            return []
        trades = [
            money.TradeView(
                at_ms=NOW_MS - number * 60_000,
                pool="main",
                symbol="BTC/USDT",
                side="buy" if number % 2 else "sell",
                price=f"{61780 + number}",
                size="0.01234",
                quote_size="762.3652",
                fee="0.00000025",
                fee_asset="BTC",
                own_share=None,
                trade_id=f"{9000 - number}",
            )
            for number in range(130)
        ]
        return [trade for trade in trades if before_ms is None or trade.at_ms < before_ms][:limit]

    async def periods(self, period: money.Period, limit: int) -> list[money.PeriodFigures]:
        """Good days and bad ones, the oldest first; nothing before the tenth from the end."""
        length = {"day": 1, "week": 7, "month": 30}[period] * DAY_MS
        last = NOW_MS - NOW_MS % DAY_MS
        rows = []
        for number in reversed(range(limit)):
            idle = number > 9 or self.mood == "empty"
            rows.append(
                money.PeriodFigures(
                    start_ms=last - number * length,
                    end_ms=last - (number - 1) * length,
                    volume="0" if idle else f"{(number + 3) * 1000}.1",
                    fills=0 if idle else number + 1,
                    venue_fees="0" if idle else "0.04",
                    pool_fees="0" if idle else "1.5",
                    rewards="0" if idle else "3",
                    result="0" if idle else f"{(number % 3 - 1) * 10}.25",
                    return_fraction=None if idle else (number % 3 - 1) / 1000,
                )
            )
        return rows

    async def ledger_head(self) -> money.LedgerHead:
        """The newest group."""
        return money.LedgerHead(
            seq=GROUPS, hash=self.books.groups[-1].hash, verified=self.mood != "troubled", seal=3
        )

    async def seals(self, limit: int, before_number: int | None) -> list[money.SealView]:
        """The seals; in trouble the second one's signature is another's."""
        if self.mood == "empty":
            return []
        found = [seal for seal in self.books.seals if before_number is None or seal.number < before_number]
        if self.mood == "troubled":
            found = [forged(seal) if seal.number == 2 else seal for seal in found]
        return found[::-1][:limit]

    async def seal(self) -> money.SealView:
        """One more."""
        return self.books.seal(GROUPS)

    async def groups(
        self, before_seq: int | None, limit: int, account: str | None, asset: str | None, kind: str | None
    ) -> list[money.GroupView]:
        """The ledger, filtered as asked."""
        if self.mood == "empty":
            return []
        found = [
            group
            for group in reversed(self.books.groups)
            if (before_seq is None or group.seq < before_seq)
            and (account is None or any(account in (one.debit, one.credit) for one in group.entries))
            and (asset is None or any(one.asset == asset for one in group.entries))
            and (kind is None or any(one.kind == kind for one in group.entries))
        ]
        return found[:limit]

    async def group(self, seq: int) -> money.GroupView:
        """One group; in trouble the fifth shows another amount than was recorded."""
        if not 1 <= seq <= GROUPS:
            raise NotFoundError("group", str(seq))
        group = self.books.groups[seq - 1]
        return touched(group) if seq == 5 and self.mood == "troubled" else group


def _payout(number: int, retried: list[str]) -> money.OutboxRow:
    name = f"payout-{number}"
    state = {75: "queued", 74: "refused", 73: "unknown", 72: "sent"}.get(number, "confirmed")
    if name in retried:
        state = "queued"
    return money.OutboxRow(
        id=name,
        cause="withdrawal",
        account=LONG,
        asset="USDT",
        amount=f"{number}.25",
        destination=ADDRESS,
        state=state,
        reason="the rail does not know this address" if state == "refused" else "",
        attempts=3 if state == "refused" else 1,
        created_at_ms=NOW_MS - (80 - number) * 60_000,
        updated_at_ms=NOW_MS,
        receipt=f"receipt-{number}" if state == "confirmed" else None,
    )


def _run(start_ms: int, state: str) -> money.RewardRunView:
    return money.RewardRunView(
        run=f"run-{start_ms}-{state}",
        pool="main",
        campaign="hmt-btc",
        start_ms=start_ms,
        end_ms=start_ms + DAY_MS,
        asset="rail:HMT",
        amount="31.50000003",
        allocated="31.3",
        unallocated="0.2",
        dust="0.00000003",
        users=3,
        kind="first",
        state=state,
        inputs_hash="ab" * 32,
    )


def _door() -> Access:
    store = ControlStore.in_memory()
    cheap = Passwords(memory_kib=64, rounds=1)
    store.set_password(cheap.hash(OWNER_PASSWORD), 0)
    return Access(store, AccessSettings(demo=True, open_desk=True), passwords=cheap)


@contextmanager
def serving(
    money_face: FakeMoney,
    port: int = 0,
    operations: FakeOperations | None = None,
    partners: PartnersFace | None = None,
    selection: SelectionFace | None = None,
) -> Iterator[str]:
    """Serve the pages and the API over a made-up business core; yields the address."""
    config = uvicorn.Config(
        create_app(
            FakeFace(),
            money_face,
            _door(),
            operations=operations or FakeOperations(),
            selection=selection or FakeSelection(),
            partners=partners or FakePartners(),
        ),
        host="127.0.0.1",
        port=port,
        log_level="error",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    sockets = [config.bind_socket()]
    thread = threading.Thread(target=server.run, args=(sockets,), daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


if __name__ == "__main__":
    with serving(TroubledMoney(), int(sys.argv[1])):
        threading.Event().wait()
