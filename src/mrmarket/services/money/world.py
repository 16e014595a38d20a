"""The payment rail that an instance lives with, as a process of its own, and the ways to speak with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from mrmarket.money.payouts.port import PaymentRail, VenueFunding
from mrmarket.services.child_process import ChildProcessFailedError
from mrmarket.services.rail.client import RailClient
from mrmarket.services.rail.config import RailConfig, VenueLink
from mrmarket.services.rail.funding import RailVenueFunding
from mrmarket.services.rail.messages import RailEndpoints
from mrmarket.services.rail.process import RailProcess
from mrmarket.services.rail.wallet_client import WalletClient

if TYPE_CHECKING:
    from mrmarket.services.partners.mixin_room import MixinRoom

RAIL: Final = "rail"
"""Namespace of the embedded rail's assets."""


class Closable(Protocol):
    """A line to somewhere."""

    async def close(self) -> None:
        """Hang up."""
        ...


@dataclass(slots=True)
class PaymentWorld:
    """Where money comes from and goes to. Without a rail nobody can pay in or be paid."""

    rails: dict[str, PaymentRail]
    venues: dict[str, VenueFunding]
    wallets: WalletClient | None = None
    """Of the simulated rail; None where the rail is a real one."""
    process: RailProcess | None = None
    lines: tuple[Closable, ...] = ()
    endpoints: RailEndpoints | None = None
    """Of the embedded rail."""
    mixin: MixinRoom | None = None
    """The bot whose rail is among them; None without one."""

    @classmethod
    def none(cls) -> PaymentWorld:
        """No way in or out."""
        return cls({}, {})

    @classmethod
    async def simulated(cls, state: Path) -> PaymentWorld:
        """Start the embedded rail, which keeps its journal in a folder.

        Raises:
            RailProcessError: it did not start.
        """
        process = RailProcess(RailConfig(state_dir=str(state)))
        endpoints = await process.start(after=state / "rail.lock")
        rail, wallets = RailClient(endpoints), WalletClient(endpoints)
        return cls({rail.name: rail}, {}, wallets, process, (rail, wallets), endpoints)

    @property
    def deposits(self) -> str | None:
        """The rail that people pay into pools over; Mixin carries rewards only. None where there is none."""
        others = (
            name for name, rail in self.rails.items() if self.mixin is None or rail is not self.mixin.rail
        )
        return next(others, None)

    def join(self, mixin: MixinRoom) -> None:
        """Add a Mixin bot, which is closed with the rest."""
        self.mixin = mixin
        self.rails[mixin.rail.name] = mixin.rail
        self.lines = (*self.lines, mixin)

    async def link(self, link: VenueLink, venue: str) -> None:
        """Open the way between the embedded rail and a trading account.

        Args:
            link: how the rail reaches the venue.
            venue: namespace of the venue's assets.

        Raises:
            RailRefusedError, RailUnclearError: by what the rail says.
        """
        if self.endpoints is None:
            raise RuntimeError("there is no embedded rail to link")
        rail = RailClient(self.endpoints)
        try:
            await rail.link_venue(link)
        finally:
            await rail.close()
        funding = RailVenueFunding(self.endpoints, venue, link.account)
        self.venues[venue] = funding
        self.lines = (*self.lines, funding)

    async def ended(self) -> ChildProcessFailedError:
        """Wait until the rail's process ends by itself; for ever where there is none."""
        if self.process is None:
            raise RuntimeError("there is no process to watch")
        return await self.process.ended()

    async def close(self) -> None:
        """Hang up, then let the embedded rail go."""
        for line in self.lines:
            await line.close()
        if self.process is not None:
            await self.process.stop()
