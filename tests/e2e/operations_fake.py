"""Trading in every kind of trouble, for what the owner's Operations page shows of it."""

from __future__ import annotations

import time

from mrmarket.services.api import operations_schema as ops
from services.operations_fake import RUN, VENUE, FakeOperations

_NODE = "01a1fdc4-4ec6-7342-8604-121a1357bb30"
_DAY_MS = 86_400_000


class TroubledOperations(FakeOperations):
    """A dead engine, restrictions of three scopes, differences, an Angel that waits for the owner."""

    def __init__(self) -> None:
        super().__init__()
        self.resumed = False

    async def operations(self) -> ops.OperationsView:
        """Everything at once."""
        view = await super().operations()
        now_ms = time.time_ns() // 1_000_000
        restriction = ops.RestrictionView
        rows = [
            restriction(
                scope="instance", cause="angel_recovery", state="halt",
                detail="intervention 7 of the Angel: look at the checklist, then resume", by="angel-1357bb30",
                since_ms=now_ms - 60_000, until_ms=None,
            ),
            restriction(
                scope=f"run:{RUN}", cause="loss_1m", state="reduce", detail="0.021 of the capital was lost",
                by=RUN, since_ms=now_ms - 30_000, until_ms=now_ms + 30_000,
            ),
            restriction(
                scope=f"venue:{VENUE}", cause="clock_offset", state="cancel_only",
                detail="the clocks are 1.4 s apart", by=RUN, since_ms=now_ms - 20_000,
                until_ms=now_ms + 40_000,
            ),
        ]  # fmt: skip
        view.restrictions = [*self.held, *(rows[1:] if self.resumed else rows)]
        view.trading = "limited" if self.resumed else "recovering"
        run = view.runs[0]
        run.why, run.risk, run.unknown_orders = list(view.restrictions), "halt", 2
        run.last_error = "okx refused: 51008 insufficient balance"
        away = ops.RunView(
            id="eth-second", venue="okx-second", account="second", pair="ETH/USDT",
            kind="pure_market_making", pool="", desired="running", state="unheld", reason="", holder=None,
            fence=None, risk="active", why=[], open_orders=None, unknown_orders=None, book_age_ms=None,
            stream_connected=None, last_error="", reported_ms=now_ms - 90_000,
            dead_man=ops.DeadManView(state="elsewhere", refreshes=0, failures=0, last_failure=""),
        )  # fmt: skip
        view.runs = [run, away]
        view.venues.append(
            ops.VenueView(
                name="okx-second", risk="active", runs=1, stream_connected=False, book_age_ms=93_000
            )
        )
        view.engines.append(
            ops.EngineView(
                node=_NODE,
                role="engine",
                host="a-machine-with-a-long-name",
                pid=4711,
                alive=False,
                age_ms=93_000,
                started_ms=now_ms - _DAY_MS,
                here=False,
                runs=[],
            )
        )
        view.angel = self._angel(now_ms)
        step = ops.StepView
        view.checklist = [
            step(step="angel", title="", state="done", what="angel-1357bb30 (watching)"),
            step(step="swept", title="", state="done", what="intervention 7 is closed"),
            step(step="leases", title="", state="waiting", what="the Angel holds eth-second"),
            step(step="restrictions", title="", state="action", what="instance: halt (angel_recovery)"),
            step(step="runs", title="", state="unknown", what=""),
        ]
        view.keys = [
            _key("binance-main", withdraw=True, ip_restricted=False, checked_ms=now_ms),
            _key("okx-second", withdraw=None, ip_restricted=True, checked_ms=None),
        ]
        view.health.append(ops.HealthView(part="lease", ready=False, reason="somebody else may hold it"))
        return view

    async def differences(self, *, open_only: bool, limit: int) -> list[ops.DifferenceView]:
        """One that stands and, if asked for, one that is gone."""
        stands = ops.DifferenceView(
            key="1", run=RUN, kind="balance", subject="BTC", ours="10.0170695", theirs="10.0247195",
            detail="0.00765 more than our fills explain", first_ms=1_795_000_000_000,
            last_ms=1_795_000_060_000, times=12, closed_ms=None,
        )  # fmt: skip
        gone = ops.DifferenceView(
            key="2", run=RUN, kind="unknown_order", subject="mm7f3k2j9x00010000001b0", ours="none",
            theirs="open", detail="", first_ms=1_794_900_000_000, last_ms=1_794_900_000_000, times=1,
            closed_ms=1_794_900_030_000,
        )  # fmt: skip
        return [stands][:limit] if open_only else [stands, gone][:limit]

    async def resume(self, request: ops.OperationRequest, by: str) -> ops.ResumedView:
        """What the recovery held is lifted."""
        self.resumed = True
        self.asked.append(("instance", "resume", by))
        return ops.ResumedView(lifted=["instance"])

    def _angel(self, now_ms: int) -> ops.AngelView:
        return ops.AngelView(
            wanted=True,
            present=True,
            watchers=[
                ops.WatcherView(
                    name="angel-1357bb30",
                    host="here",
                    pid=2,
                    alive=True,
                    age_ms=180,
                    stage="watching",
                    incident="",
                    fail_safe="cancel_all",
                    recovery="manual",
                    threshold_s=5.0,
                    venues={VENUE: "ready", "okx-second": "not ready"},
                    nodes={_NODE: "silent"},
                )
            ],
            waiting_for_owner=not self.resumed,
            interventions=[
                ops.InterventionView(
                    incident="7",
                    drill=False,
                    target=_NODE,
                    began_ms=now_ms - 60_000,
                    cancels=3,
                    proven_ms=6_812,
                    closed_ms=None,
                    closed=False,
                ),
                ops.InterventionView(
                    incident="drill-6",
                    drill=True,
                    target="drill",
                    began_ms=now_ms - _DAY_MS,
                    cancels=1,
                    proven_ms=3_204,
                    closed_ms=3_350,
                    closed=True,
                ),
            ],
            actions=[
                ops.AngelActionView(
                    id="a1",
                    angel="angel-1357bb30",
                    at_ms=now_ms - 60_000,
                    incident="7",
                    action="venue_silent",
                    target="okx-second",
                    detail="no answer within 2 s",
                )
            ],
            dry_run=None,
        )


def _key(
    name: str, *, withdraw: bool | None, ip_restricted: bool | None, checked_ms: int | None
) -> ops.KeyView:
    return ops.KeyView(
        name=name, venue=name.split("-", maxsplit=1)[0], version=1, added_ms=1_794_000_000_000,
        checked_ms=checked_ms, read=True, trade=True, withdraw=withdraw, ip_restricted=ip_restricted,
        allow_withdraw=bool(withdraw),
    )  # fmt: skip
