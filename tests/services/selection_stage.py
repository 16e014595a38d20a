"""A choice between strategies over a board and eyes that are made up, and a real log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal

from mrmarket.core.clock import NS_PER_S, ManualClock
from mrmarket.core.notice import Notice
from mrmarket.services.engine.database_line import DatabaseLine
from mrmarket.services.selection.capital import Capital
from mrmarket.services.selection.chooser import Chooser
from mrmarket.services.selection.memory import SelectionMemory
from mrmarket.services.selection.office import SelectionOffice
from mrmarket.services.selection.plan import Plan
from mrmarket.services.selection.section import CapitalSection
from mrmarket.services.selection.switchboard import Answer
from mrmarket.store.operations import RunSpec
from mrmarket.store.selection_log import SelectionLog
from mrmarket.trading.execution.risk.budget import Budgets
from mrmarket.trading.strategy.selection.thresholds import Thresholds
from mrmarket.trading.strategy.shadow.reading import Reading
from selection_samples import candidate

QUICK = Thresholds(
    margin_per_h=0.001,
    z=0.5,
    half_life_s=60,
    least_samples=2,
    cool_down_s=0,
    dwell_s=0,
    debounce=1,
    switches_per_hour=100,
    paper_ratio=1.0,
)


def plan(name: str, run: str) -> Plan:
    """A candidate in a run."""
    return Plan(candidate(name), RunSpec(id=run, venue="v", pair="BTC/USDT", kind=name))


PLANS = {"main": plan("main", "pool.run"), "arb": plan("arb", "arb")}


class World:
    """A board that does what it is told, and earnings by the hour."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.told: list[tuple[str, str]] = []
        self.proven = True
        self.starts = True
        self.owner: dict[str, str] = {}
        self.resting: set[str] = set()
        self.live_rate, self.paper_rate = {"pool.run": 1.0, "arb": 1.0}, {"main": 1.0, "arb": 1.0}
        self.worth = {"pool.run": 10_000.0, "arb": 10_000.0}
        self.in_play = {"pool.run": 0.0, "arb": 0.0}
        self.blind = False
        """Whether nothing is to be seen now."""
        self.notices: list[Notice] = []

    async def stop(self, plan: Plan, reason: str) -> Answer:
        """Note it."""
        assert reason
        self.told.append(("stop", plan.candidate.id))
        return Answer(self.proven, "order 7")

    async def start(self, plan: Plan, reason: str) -> Answer:
        """Note it."""
        assert reason
        self.told.append(("start", plan.candidate.id))
        return Answer(self.starts, "no market")

    async def hold_down(self, plans: Mapping[str, Plan], current: str) -> list[str]:
        """Nobody trades out of turn."""
        assert current in {"", *plans}
        return []

    def _reading(self, rate: float, life: str, run: str = "arb") -> Reading | None:
        if self.blind:
            return None
        seconds = self.clock.monotonic_ns() / NS_PER_S
        return Reading(
            life=life,
            at_ns=self.clock.now_ns(),
            trading=True,
            profit=rate * seconds,
            fees=0.0,
            capital=self.worth[run],
            used=10_000.0,
            attempts=0,
            successes=0,
            in_play=self.in_play[run],
        )

    def live(self, run: str, life: str) -> Reading | None:
        """Earned at a steady rate."""
        return self._reading(self.live_rate[run], life, run)

    def paper(self, candidate: str) -> Reading | None:
        """The same on paper."""
        return self._reading(self.paper_rate[candidate], "paper")

    def failed(self) -> Collection[str]:
        """Runs that rest."""
        return self.resting

    async def held(self, runs: Collection[str]) -> Mapping[str, str]:
        """By the owner's word."""
        return {run: why for run, why in self.owner.items() if run in runs}

    def notify(self, notice: Notice) -> None:
        """Note it."""
        self.notices.append(notice)


class Stage:
    """A chooser on a log."""

    def __init__(
        self,
        log: SelectionLog,
        section: CapitalSection | None = None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self.leads = leads
        self.section = section or CapitalSection()
        self.budgets = Budgets()
        self.clock = ManualClock()
        self.world = World(self.clock)
        self.log = log
        self.memory = SelectionMemory(log, DatabaseLine(self.clock, 5.0), 30)
        self.chooser = self.another()
        self.office = SelectionOffice(self.chooser, self.memory, {}, self.clock)

    async def restart(self) -> None:
        """Another life: nothing is left but what was written down."""
        self.budgets = Budgets()
        self.chooser = self.another()
        assert self.chooser.capital is not None
        await self.chooser.capital.recover()
        await self.chooser.recover()
        self.office = SelectionOffice(self.chooser, self.memory, {}, self.clock)

    def budget(self, run: str) -> Decimal | None:
        """What a run may have in play."""
        return self.budgets.of(run).quote

    def another(self) -> Chooser:
        """As after a restart."""
        return Chooser(
            PLANS,
            self.memory,
            self.world,
            self.world,
            self.clock,
            self.world,
            thresholds=QUICK,
            evaluate_s=0.001,
            capital=Capital(
                self.section, PLANS, {"main": 1.0, "arb": 0.15}, self.memory, self.budgets, self.clock
            ),
            leads=self.leads,
        )

    async def look(self, times: int = 1) -> None:
        """So many evaluations, ten seconds apart."""
        for _ in range(times):
            self.clock.advance(10 * NS_PER_S)
            await self.chooser.evaluate()

    @property
    def current(self) -> str:
        """Whose turn it is."""
        return self.chooser.standing().state.current
