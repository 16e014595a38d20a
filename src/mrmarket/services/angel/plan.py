"""What an Angel's process is told: by `mrmarket run` in a file, or worked out from the configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.angel.settings import AngelSection
from mrmarket.core.errors import MrMarketError
from mrmarket.services.config_sections import Config, VenueSection
from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.services.engine.specs import venue_name
from mrmarket.services.keys.section import KeysSection
from mrmarket.services.notify.section import NotifySection
from mrmarket.services.telemetry.section import TelemetrySection
from mrmarket.services.trading_place import account_section
from mrmarket.services.venue_process import Endpoints

FOLDER: Final = "angel"
SIMULATED: Final = "simulated"
DEAD_MAN_PATH: Final = "/sim/v1/cancelAllOrdersAfter"
GONE_AFTER_S: Final = 4.0
"""How long the embedded exchange may be silent before it counts as gone with its instance."""


class NothingToWatchError(MrMarketError):
    """There is no exchange at which an Angel could cancel anything."""

    code = "nothing_to_watch"

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"nothing to watch: {why}")


class WatchedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account of an exchange. The secret is there for the embedded exchange alone: play money."""

    name: str
    """What the venue is called in facts and leases."""
    account: str = MAIN_ACCOUNT
    """Which of the venue's accounts it is."""
    venue: VenueSection = VenueSection()
    """With where the engine finds the account's key."""
    exchange: str
    rest_url: str = ""
    ws_url: str = ""
    ws_api_url: str = ""
    symbols: list[str] = []
    recv_window_ms: int = 2000
    dead_man_path: str = ""
    api_key: str = ""
    api_secret: str = ""
    ends_with_instance: bool = False
    """The embedded exchange: it is gone when its instance is."""

    def __repr__(self) -> str:
        return f"WatchedAccount({self.name})"


class AngelPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one Angel but its secrets."""

    instance: str
    """The instance's id, which its client order ids carry."""
    name: str = "Mr. Market"
    """What the instance is called, for notices."""
    settings: AngelSection = AngelSection()
    venue: VenueSection = VenueSection()
    keys: KeysSection = KeysSection()
    notify: NotifySection = NotifySection()
    telemetry: TelemetrySection = TelemetrySection()
    accounts: list[WatchedAccount] = []
    heartbeat_url: str = ""
    leaves_with_instance: bool = False
    """Started by `mrmarket run`: it ends when the instance has signed off."""


def plan_path(data: Path) -> Path:
    """Where the plan of an instance's own Angel lies."""
    return data / FOLDER / "plan.json"


def write_plan(data: Path, plan: AngelPlan) -> Path:
    """Write a plan that only its owner may read."""
    path = plan_path(data)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(plan))
    draft.replace(path)
    return path


def read_plan(path: Path) -> AngelPlan | None:
    """A plan; None where there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=AngelPlan)
    except (OSError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def plan_for(config: Config, instance: str, *, leaves_with_instance: bool = False) -> AngelPlan:
    """The plan of an instance that trades on a real exchange.

    Raises:
        NothingToWatchError: no order of it leaves its machine.
    """
    venue = config.venue
    if venue.paper:
        raise NothingToWatchError("on paper no order leaves the machine")
    if venue.exchange == SIMULATED:
        raise NothingToWatchError("the embedded exchange is watched by the Angel that mrmarket run starts")
    accounts = [
        WatchedAccount(
            name=venue_name(venue.exchange, account),
            account=account,
            venue=account_section(config, account),
            exchange=venue.exchange,
            rest_url=venue.rest_url,
            ws_url=venue.ws_url,
            ws_api_url=venue.ws_api_url,
            symbols=symbols,
            recv_window_ms=venue.recv_window_ms,
            dead_man_path=getattr(venue, "dead_man_path", ""),
        )
        for account, symbols in _traded(config).items()
    ]
    return AngelPlan(
        instance=instance,
        name=config.instance.name,
        settings=config.angel,
        venue=venue,
        keys=config.keys,
        notify=config.notify,
        telemetry=config.telemetry,
        accounts=accounts,
        heartbeat_url=config.angel.heartbeat_url,
        leaves_with_instance=leaves_with_instance,
    )


def plan_beside(
    config: Config, instance: str, heartbeat_url: str, embedded: Endpoints | None, name: str = SIMULATED
) -> AngelPlan:
    """The plan of the Angel that an instance starts beside itself.

    Args:
        config: the instance's.
        instance: its id.
        heartbeat_url: where it answers for itself, for when the database is gone.
        embedded: what its own exchange said when it was ready; None where it trades on a real one.
        name: what the embedded exchange is called in facts and leases.

    Raises:
        NothingToWatchError: it trades on paper.
    """
    if embedded is None:
        plan = plan_for(config, instance, leaves_with_instance=True)
        return msgspec.structs.replace(plan, heartbeat_url=heartbeat_url)
    keys = {MAIN_ACCOUNT: (embedded.angel_key, embedded.angel_secret)}
    keys |= {each.account: (each.angel_key, each.angel_secret) for each in embedded.keys}
    accounts = [
        WatchedAccount(
            name=venue_name(name, account),
            account=account,
            exchange="binance",
            rest_url=embedded.rest,
            ws_url=embedded.ws,
            ws_api_url=embedded.ws_api,
            symbols=embedded.symbols,
            recv_window_ms=config.venue.recv_window_ms,
            dead_man_path=DEAD_MAN_PATH,
            api_key=key,
            api_secret=secret,
            ends_with_instance=True,
        )
        for account, (key, secret) in keys.items()
    ]
    return AngelPlan(
        instance=instance,
        name=config.instance.name,
        settings=config.angel,
        venue=config.venue,
        keys=config.keys,
        notify=config.notify,
        telemetry=config.telemetry,
        accounts=accounts,
        heartbeat_url=heartbeat_url,
        leaves_with_instance=True,
    )


def _traded(config: Config) -> dict[str, list[str]]:
    """Every account that the configuration knows of, with the pairs that are traded there.

    One that no run of it names may have runs that were put down in the database: it is watched too.
    """
    pair = config.strategy.pair
    traded: dict[str, set[str]] = {MAIN_ACCOUNT: {pair}}
    for run in config.runs:
        traded.setdefault(run.account, set()).add(run.strategy.pair)
    for account in config.accounts:
        traded.setdefault(account.name, {pair})
    return {account: sorted(symbols) for account, symbols in traded.items()}
