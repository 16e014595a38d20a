"""One chain as the instance lives with it: watched, and paid from, each going on when it can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from mrmarket.core.errors import MrMarketError
from mrmarket.partners.chains.hints import listen_for_blocks
from mrmarket.partners.chains.observations import Observations
from mrmarket.partners.chains.port import ChainReader, ChainWriter, Signer
from mrmarket.partners.chains.watcher import Watcher
from mrmarket.services.partners.destinations import Destinations
from mrmarket.services.partners.opening import open_vault
from mrmarket.services.partners.setting import PartnerSetting
from mrmarket.services.partners.troubles import Troubles

if TYPE_CHECKING:
    from mrmarket.partners.chains.book import ChainBook
    from mrmarket.partners.chains.settings import ChainSettings
    from mrmarket.partners.chains.vault import Vault

_LONGEST_S: Final = 30.0
_LEAST_PAUSE_S: Final = 0.5
"""Each look at the vault's payments is a write that waits for the disk."""
_MS_PER_S: Final = 1_000


class ChainNode(ChainReader, ChainWriter, Protocol):
    """A chain's nodes; `EvmNode` is one."""

    async def logs(
        self, block_hash: str, topics: Sequence[str | list[str] | None], address: str | None = None
    ) -> list[dict[str, Any]]:
        """Log entries of exactly one block. Raises a retryable `ChainError`."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


@dataclass(frozen=True, slots=True)
class Sight:
    """How far a chain is read."""

    tip: int
    head: int

    @property
    def lag(self) -> int:
        """Blocks that are there and not read."""
        return max(0, self.head - self.tip)


class ChainRoom:
    """Holds a chain's node; `tasks` watch it and see its payments to their ends."""

    def __init__(
        self,
        setting: PartnerSetting,
        chain: ChainSettings,
        node: ChainNode,
        book: ChainBook,
        signer: Signer,
        destinations: Destinations,
        troubles: Troubles,
        owner: str,
    ) -> None:
        """Nothing is asked yet; the node is closed with the room.

        `owner` names this instance; its next life takes the vault at once.
        """
        self.chain = chain
        self.book = book
        self.node = node
        self.observations = Observations(book)
        self.vault: Vault | None = None
        """Once it could be taken."""
        self.sight: Sight | None = None
        self._setting = setting
        self._signer = signer
        self._destinations = destinations
        self._troubles = troubles
        self._owner = owner
        self._watcher = Watcher(chain, self.node, self.observations, [signer.address], setting.wall)
        self._watching = asyncio.Lock()
        self._nudge = asyncio.Event()
        self._stop = asyncio.Event()

    @property
    def part(self) -> str:
        """Its name among troubles."""
        return f"chain {self.chain.name}"

    @property
    def vault_part(self) -> str:
        """The vault's name among troubles."""
        return f"vault {self.chain.name}"

    def works(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """What is to be done until cancelled, each with its name among troubles."""
        kept: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            (self.part, self.watch),
            (self.vault_part, self.pay),
        ]
        if self.chain.websocket_url:
            kept.append((f"{self.part} hints", self.listen))
        return kept

    async def listen(self) -> None:
        """Be told of new blocks, to look sooner; polling goes on without it."""
        await listen_for_blocks(self.chain, self.nudge, self._stop)

    def nudge(self) -> None:
        """Somebody says that there is a new block; look at once."""
        self._nudge.set()

    async def watch(self) -> None:
        """Read block after block; whatever stands in the way is noted and tried again."""
        wait_s = self._poll_s
        while True:
            try:
                async with self._watching:
                    report = await self._watcher.step()
            except MrMarketError as error:
                self._troubles.note(self.part, error)
                wait_s = min(wait_s * 2, max(_LONGEST_S, self._poll_s))
            else:
                self.sight = Sight(report.tip, report.head)
                self._troubles.over(self.part)
                wait_s = self._poll_s
                if not report.is_caught_up:
                    continue
            await self._rest(wait_s)

    async def pay(self) -> None:
        """Take the vault and look after its payments; what stands in the way is noted and tried again."""
        pause_s = wait_s = max(self._poll_s, _LEAST_PAUSE_S)
        while True:
            try:
                vault = await self._open_vault()
                await vault.step()
            except MrMarketError as error:
                self._troubles.note(self.vault_part, error)
                self.vault = None if _is_lost(error) else self.vault
                wait_s = min(wait_s * 2, max(_LONGEST_S, pause_s))
            else:
                self._troubles.over(self.vault_part)
                wait_s = pause_s
            await asyncio.sleep(wait_s)

    async def accept(self, by_whom: str) -> int:
        """Go on after a deep reorganisation, on a person's word; how many transfers are gone.

        Raises:
            DeepReorganisationError: if the chain agrees with nothing that is remembered.
            ChainError: if the node does not answer.
        """
        async with self._watching:
            return len(await self._watcher.accept(by_whom))

    async def close(self) -> None:
        """Let others in, and hang up."""
        self._stop.set()
        vault, self.vault = self.vault, None
        if vault is not None:
            try:
                await vault.close()
            except MrMarketError as error:
                self._troubles.note(self.vault_part, error)
        await self.node.close()

    async def _open_vault(self) -> Vault:
        if self.vault is None:
            known = self._destinations.known(self.chain.chain_id)
            if not known and not self._setting.partners.vault.destinations:
                known = await self._destinations.learn(self.chain.chain_id)
            vault = open_vault(
                self._setting, self.chain, self.node, self._signer, self.book, self._owner, known
            )
            await vault.open()
            self.vault = vault
        return self.vault

    @property
    def _poll_s(self) -> float:
        return self.chain.poll_ms / _MS_PER_S

    async def _rest(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._nudge.wait()
        except TimeoutError:
            return
        self._nudge.clear()


def _is_lost(error: Exception) -> bool:
    """Whether somebody else has the vault, or never gave it to us."""
    return getattr(error, "code", "") in {"vault_fence_lost", "vault_held"}
