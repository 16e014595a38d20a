"""The sections of an instance's configuration file, with their defaults and limits."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec

from mrmarket.angel.settings import AngelSection
from mrmarket.money.pool.plan import FIRST_POOL
from mrmarket.money.pool.terms import Terms
from mrmarket.partners.chains.settings import ChainSettings
from mrmarket.services.engine.section import MAIN_ACCOUNT, AccountSection, EngineSection, RunSection
from mrmarket.services.keys.section import KeysSection
from mrmarket.services.notify.section import NotifySection
from mrmarket.services.partners.section import (
    CampaignsSection,
    MixinSection,
    Partners,
    PricesSection,
    VaultSection,
    objections,
)
from mrmarket.services.risk_section import RiskSection
from mrmarket.services.selection.section import SelectionSection
from mrmarket.services.store_address import StoreSection
from mrmarket.services.telemetry.section import TelemetrySection
from mrmarket.trading.strategy.parameters import Parameters
from mrmarket.trading.strategy.schema import StrategyParameters
from mrmarket.trading.venue.front.faults import FaultConfig
from mrmarket.trading.venue.front.latency import LatencyConfig

_MAX_FEE: Final = Decimal("0.1")


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


_PUBLIC_URL: Final = re.compile(
    r"https?://[A-Za-z0-9.\-]+(?::[0-9]{1,5})?|https?://\[[0-9A-Fa-f:]+\](?::[0-9]{1,5})?"
)
PerSecond = Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)]
Burst = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class InstanceSection(_Section, frozen=True):
    """`[instance]`: what it is called."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "Mr. Market"


class ApiSection(_Section, frozen=True):
    """`[api]`: where the page and the API are served."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    allowed_hosts: list[str] = msgspec.field(default_factory=list)
    """Further host names that browsers may use to reach it."""
    public_url: str = ""
    """Where people reach it, if through a proxy; with https the session's cookie never leaves encryption."""
    open_desk: bool | None = None
    """Whether visitors see market, orders, fills and performance. Left out: where the money is simulated."""

    def __post_init__(self) -> None:
        if self.public_url and not _PUBLIC_URL.fullmatch(self.public_url):
            raise ValueError("public_url: give it without a path, such as https://market.example")


class AccessSection(_Section, frozen=True):
    """`[access]`: who may sign in, and how often anybody may ask. Rates count one session, or one address."""

    chain_ids: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=2**53)]], msgspec.Meta(min_length=1)] = (
        msgspec.field(default_factory=lambda: [1])
    )
    """Chains whose wallets may sign in (1 is Ethereum)."""
    reads_per_s: PerSecond = 100.0
    reads_burst: Burst = 400
    writes_per_s: PerSecond = 5.0
    writes_burst: Burst = 40
    sign_ins_per_s: PerSecond = 0.5
    sign_ins_burst: Burst = 30


class VenueSection(_Section, frozen=True):
    """`[venue]`: where to trade. Keys come from the key store or the environment, never from this file."""

    exchange: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]+$")] = "simulated"
    """`simulated` (embedded), or an exchange id of ccxt."""
    paper: bool = False
    """Real public data, fills from the kernel, no order leaves this machine."""
    rest_url: str = ""
    ws_url: str = ""
    ws_api_url: str = ""
    """Another host that speaks the exchange's dialect; empty is the exchange's own."""
    key: str = ""
    """Name of a key of the key store (`mrmarket keys`); empty: from the variables named below."""
    api_key_env: str = "MRMARKET_API_KEY"
    api_secret_env: str = "MRMARKET_API_SECRET"  # noqa: S105 - the name of a variable, not a secret
    api_password_env: str = "MRMARKET_API_PASSWORD"  # noqa: S105 - the same
    recv_window_ms: Annotated[int, msgspec.Meta(ge=100, le=2000)] = 2000
    dead_man_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 30
    """Countdown of the exchange's own dead man's switch, where it has one, refreshed each third; 0: never."""

    def __post_init__(self) -> None:
        if self.paper and self.exchange == "simulated":
            raise ValueError("paper: name the exchange whose feed to follow, such as --venue binance")


class SimulationSection(_Section, frozen=True):
    """`[simulation]`: the embedded exchange."""

    world: Literal["exchange", "sandbox"] = "exchange"
    """`sandbox`: beside the exchange also a chain, HuFi and Mixin of one's own, in which time runs faster."""
    tapes: list[str] = msgspec.field(default_factory=list)
    """Recordings to replay; none means the built-in market generator."""
    speed: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 1
    loop: bool = True
    maker_fee: Decimal | None = None
    """Fraction; negative is a rebate. Left out: 0.1 % on a tape, a market maker's tier (0.002 % and 0.03 %)
    on the built-in market."""
    taker_fee: Decimal | None = None
    latency: LatencyConfig = LatencyConfig()
    faults: FaultConfig = FaultConfig()

    def __post_init__(self) -> None:
        for name, fee in (("maker_fee", self.maker_fee), ("taker_fee", self.taker_fee)):
            if fee is not None and not (fee.is_finite() and -_MAX_FEE < fee < _MAX_FEE):
                raise ValueError(f"{name}: {fee} was refused; give a fraction such as 0.001 for 10 bps")


Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class PoolSection(_Section, frozen=True):
    """`[pool]`: the pool that trades with this instance's run."""

    name: Name = FIRST_POOL
    demo: bool = True
    """Found the pool with three demo depositors where the money is simulated. A real account's money is
    the owner's when the instance first sees it."""
    terms: Terms | None = None
    """`[pool.terms]`: fees, limits and lock tiers. Left out: none of them; the demo shows a set of each.
    Later changes are announced while the instance runs and kept in the books."""
    members: list[str] = msgspec.field(default_factory=list)
    """Who may come in where the terms say `permissioned`: account names, or wallet addresses."""
    idle_buffer: str = "1000"
    """How much of the quote stays on the payment rail, ready for withdrawals; the rest goes to the venue."""


class FurtherPool(_Section, frozen=True):
    """`[[pools]]`: another pool of this instance. It takes deposits, and does not trade yet."""

    name: Name
    terms: Terms = Terms()
    members: list[str] = msgspec.field(default_factory=list)


class RailSection(_Section, frozen=True):
    """`[rail]`: how money comes in and goes out."""

    kind: Literal["simulated", "none"] = "simulated"
    """`simulated` (embedded, play money) goes with simulated trading only; real trading has none yet."""
    capacity: str | None = None
    """Most that all pools together may be worth when somebody comes in, in the quote."""


class RewardsSection(_Section, frozen=True):
    """`[rewards]`: what the demo's campaign pays."""

    demo_amount: str = "25"
    """A cycle, in the quote; 0 for no campaign."""
    demo_cycle_s: Annotated[int, msgspec.Meta(ge=5, le=86_400)] = 60


class SealSection(_Section, frozen=True):
    """`[seal]`: signed seals of the ledger."""

    every_s: Annotated[int, msgspec.Meta(ge=10, le=31 * 86_400)] = 86_400


class Config(_Section, frozen=True):
    """The whole file."""

    instance: InstanceSection = InstanceSection()
    api: ApiSection = ApiSection()
    access: AccessSection = AccessSection()
    venue: VenueSection = VenueSection()
    keys: KeysSection = KeysSection()
    simulation: SimulationSection = SimulationSection()
    strategy: StrategyParameters = Parameters()
    """`[strategy]`: of whichever kind; `load_config` checks it by that kind's schema."""
    runs: list[RunSection] = msgspec.field(default_factory=list)
    accounts: list[AccountSection] = msgspec.field(default_factory=list)
    engine: EngineSection = EngineSection()
    risk: RiskSection = RiskSection()
    selection: SelectionSection = SelectionSection()
    pool: PoolSection = PoolSection()
    pools: list[FurtherPool] = msgspec.field(default_factory=list)
    rail: RailSection = RailSection()
    rewards: RewardsSection = RewardsSection()
    seal: SealSection = SealSection()
    store: StoreSection = StoreSection()
    angel: AngelSection = AngelSection()
    telemetry: TelemetrySection = TelemetrySection()
    notify: NotifySection = NotifySection()
    chains: list[ChainSettings] = msgspec.field(default_factory=list)
    vault: VaultSection = VaultSection()
    campaigns: CampaignsSection = CampaignsSection()
    mixin: MixinSection = MixinSection()
    prices: PricesSection = PricesSection()

    def __post_init__(self) -> None:
        if self.selection.enabled and not self.selection.candidates and self.venue.exchange != "simulated":
            raise ValueError("selection.candidates: name a strategy that may take the place of [strategy]")
        names = [self.pool.name, *(pool.name for pool in self.pools)]
        if len(set(names)) < len(names):
            raise ValueError("pools: each pool needs a name of its own")
        runs = [run.id for run in self.runs]
        if len(set(runs)) < len(runs):
            raise ValueError("runs: each run needs an id of its own")
        if self.simulation.world == "sandbox" and self.venue.exchange != "simulated":
            raise ValueError("simulation.world: the sandbox world has its own exchange; leave [venue] out")
        accounts = [MAIN_ACCOUNT, *(each.name for each in self.accounts), *(run.account for run in self.runs)]
        for objection in objections(self.partners, names, accounts):
            raise ValueError(objection)

    @property
    def partners(self) -> Partners:
        """Chains, vault, campaigns, Mixin and prices."""
        return Partners(self.chains, self.vault, self.campaigns, self.mixin, self.prices)

    @property
    def play_money(self) -> bool:
        """Whether nothing real can be won or lost."""
        return self.venue.exchange == "simulated" or self.venue.paper
