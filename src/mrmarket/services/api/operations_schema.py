"""What the owner hears of engines, runs, restrictions and the Angel. Times are UTC milliseconds."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Key = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{8,64}$(?!\n)")]
"""The asker's own name for a command: asking again with the same key asks nothing new."""
Line = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]

RiskWord = Literal["active", "reduce", "cancel_only", "halt"]
RunAction = Literal["pause", "resume", "cancel-all", "flatten", "halt", "rearm"]
ScopeAction = Literal["halt", "rearm"]
Trading = Literal["quoting", "paused", "limited", "recovering"]


class TradingNotice(msgspec.Struct, kw_only=True):
    """Whether quotes stand as usual, for everybody; never why in detail."""

    state: Trading


class OperationRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The owner asks for something."""

    key: Key
    reason: Line = ""
    """Why; shown wherever the state is."""
    cause: Line = ""
    """For `rearm`: only this cause; empty for all of the scope."""


class HealthView(msgspec.Struct, kw_only=True):
    """One part of the instance."""

    part: str
    ready: bool
    reason: str


class DatabaseView(msgspec.Struct, kw_only=True):
    """Whether the rest of the page is of now."""

    ready: bool
    reason: str
    read_ms: int | None
    """When it last answered; null for never."""


class EngineView(msgspec.Struct, kw_only=True):
    """One process that holds runs."""

    node: str
    role: str
    host: str
    pid: int
    alive: bool
    """Whether it has beaten within five seconds, by this machine's clock."""
    age_ms: int
    """Since its last sign of life."""
    started_ms: int
    here: bool
    """Whether it is this very process."""
    runs: list[str]


class RestrictionView(msgspec.Struct, kw_only=True):
    """One reason to trade less."""

    scope: str
    cause: str
    state: str
    detail: str
    by: str
    since_ms: int
    until_ms: int | None
    """Not before then it ends by itself; null waits for the owner."""


class DeadManView(msgspec.Struct, kw_only=True):
    """The exchange's own switch that cancels when we fall silent."""

    state: Literal["none", "off", "armed", "elsewhere"]
    """`none`: the exchange has none; `elsewhere`: another engine holds the run."""
    refreshes: int
    failures: int
    last_failure: str


class RunView(msgspec.Struct, kw_only=True):
    """One strategy run, wherever it is. What nobody has told is null."""

    id: str
    venue: str
    account: str
    pair: str
    kind: str
    pool: str
    desired: str
    state: str
    """`running`, `paused`, … of its engine's last report; `unheld` where no engine holds it."""
    reason: str
    holder: str | None
    fence: int | None
    risk: RiskWord
    why: list[RestrictionView]
    """Everything that binds it: its own, its venue's and the instance's."""
    open_orders: int | None
    unknown_orders: int | None
    book_age_ms: int | None
    stream_connected: bool | None
    last_error: str
    reported_ms: int | None
    dead_man: DeadManView
    asked: str = ""
    """What campaigns ask of its quotes, and which of them pause; empty where none is for its market."""


class VenueView(msgspec.Struct, kw_only=True):
    """One exchange account, by the runs on it."""

    name: str
    risk: RiskWord
    runs: int
    stream_connected: bool | None
    """False if any run there does not hear its user stream."""
    book_age_ms: int | None
    """Of the oldest book."""


class DifferenceView(msgspec.Struct, kw_only=True):
    """Where an exchange says something else than we know."""

    key: str
    run: str
    kind: str
    subject: str
    ours: str
    theirs: str
    detail: str
    first_ms: int
    last_ms: int
    times: int
    closed_ms: int | None


class AngelActionView(msgspec.Struct, kw_only=True):
    """One thing the Angel did or found."""

    id: str
    angel: str
    at_ms: int
    incident: str
    action: str
    target: str
    detail: str


class WatcherView(msgspec.Struct, kw_only=True):
    """One Angel, by its last sign of life."""

    name: str
    host: str
    pid: int
    alive: bool
    age_ms: int
    stage: str
    incident: str
    fail_safe: str
    recovery: str
    threshold_s: float | None
    venues: dict[str, str]
    nodes: dict[str, str]


class InterventionView(msgspec.Struct, kw_only=True):
    """One intervention or drill, from the Angel's log."""

    incident: str
    drill: bool
    target: str
    began_ms: int
    cancels: int
    """Cancel rounds in the log."""
    proven_ms: int | None
    """How long after it began nothing was left."""
    closed_ms: int | None
    """How long after it began it was over."""
    closed: bool


class WouldCancelView(msgspec.Struct, kw_only=True):
    """One order that the fail-safe would cancel."""

    venue: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    side: str


class DryRunView(msgspec.Struct, kw_only=True):
    """What an intervention would meet; nothing was touched."""

    at_ms: int
    orders: list[WouldCancelView]
    spared: int
    """Orders that stand and are not in its scope."""
    silent: dict[str, str]
    """Exchanges that did not answer, and why."""


class AngelView(msgspec.Struct, kw_only=True):
    """The watch over the instance."""

    wanted: bool
    """Whether the configuration asks for one: on paper there is nothing to cancel."""
    present: bool
    watchers: list[WatcherView]
    waiting_for_owner: bool
    """A manual recovery holds trading back until the owner resumes."""
    interventions: list[InterventionView]
    """Drills among them, newest first."""
    actions: list[AngelActionView]
    """Newest first."""
    dry_run: DryRunView | None
    """The last one that was asked for."""


class StepView(msgspec.Struct, kw_only=True):
    """One line of the recovery checklist, in the order in which things happen."""

    step: str
    """A stable word."""
    title: str
    state: Literal["done", "waiting", "action", "unknown"]
    """`waiting` comes by itself, `action` needs a person."""
    what: str
    """What is so, and what to do."""


class KillSwitchView(msgspec.Struct, kw_only=True):
    """The switch that needs no database."""

    pulled: bool
    reason: str
    failure: str
    """Why its note could not be kept or read; halting does not depend on it."""
    local: bool
    """Whether this process trades; otherwise it halts through the database, and each engine has its own."""


class KeyView(msgspec.Struct, kw_only=True):
    """One exchange key without anything secret; null where the exchange does not tell."""

    name: str
    venue: str
    version: int
    added_ms: int
    checked_ms: int | None
    read: bool | None
    trade: bool | None
    withdraw: bool | None
    ip_restricted: bool | None
    allow_withdraw: bool


class OperationsView(msgspec.Struct, kw_only=True):
    """How trading is run right now."""

    at_ms: int
    trading: Trading
    database: DatabaseView
    health: list[HealthView]
    engines: list[EngineView]
    venues: list[VenueView]
    runs: list[RunView]
    restrictions: list[RestrictionView]
    differences: list[DifferenceView]
    """Those that stand."""
    angel: AngelView
    checklist: list[StepView]
    kill_switch: KillSwitchView
    keys: list[KeyView]
    keys_problem: str
    """Why the keys cannot be listed."""


class CommandView(msgspec.Struct, kw_only=True):
    """Something the owner asked for, and what came of it."""

    id: str
    target: str
    kind: str
    state: Literal["asked", "done", "refused"]
    answer: str
    asked_by: str
    asked_ms: int
    ended_ms: int | None
    recorded: bool
    """Whether the database knows of it; a kill switch works without."""


class ResumedView(msgspec.Struct, kw_only=True):
    """What a manual recovery held back."""

    lifted: list[str]
    """Scopes that may trade again."""
