"""What `mrmarket sandbox --json` prints when its world can be lived in: where everything is."""

from __future__ import annotations

import msgspec

from mrmarket.services.sandbox.world_time import WorldTime
from mrmarket.services.venue_process import Endpoints

ENDPOINTS_FILE = "endpoints.json"
"""The same line, in the world's folder; its owner alone may read it."""
EXCHANGE = "mexc"
"""Under which name of HuFi's the simulated exchange is known to its campaigns."""


class ChainDoor(msgspec.Struct, frozen=True):
    """A chain of one's own, and a wallet on it that has gas. Nothing on it is worth anything."""

    name: str
    chain_id: int
    url: str
    websocket_url: str
    confirmations: int
    token_code: str
    """Asset code of the token in which campaigns pay."""
    token_address: str
    token_decimals: int
    wallet_address: str
    """An account for a vault, lower case."""
    wallet_key: str
    """Its private key, 0x and 64 hexadecimal digits: one that everybody knows."""
    start_block: int = 0
    """Where a watcher that was never here may begin: the block after the contracts."""

    def __repr__(self) -> str:
        return f"ChainDoor({self.name}, chain_id={self.chain_id})"


class HufiDoor(msgspec.Struct, frozen=True):
    """HuFi's two APIs."""

    launcher_url: str
    oracle_url: str
    exchange: str = EXCHANGE
    """Under which name campaigns know the simulated exchange."""


class MixinDoor(msgspec.Struct, frozen=True):
    """Mixin, and a bot of one's own at it."""

    url: str
    blaze_url: str
    bot_keystore: str
    """JSON, as Mixin's dashboard gives it."""
    asset_id: str
    """Under which Mixin carries the chain's token."""
    asset_code: str
    chain_asset_id: str = ""
    """Mixin's id of the chain, for which a deposit address is asked."""

    def __repr__(self) -> str:
        return f"MixinDoor({self.url})"


class PersonDoor(msgspec.Struct, frozen=True):
    """Somebody with a Mixin account who may become a depositor."""

    name: str
    user_id: str
    keystore: str

    def __repr__(self) -> str:
        return f"PersonDoor({self.name}, {self.user_id})"


class SandboxEndpoints(msgspec.Struct, frozen=True):
    """A world that can be lived in."""

    venue: Endpoints
    chain: ChainDoor
    hufi: HufiDoor
    mixin: MixinDoor
    people: list[PersonDoor]
    time: WorldTime
    cycle_ms: int
    """How long a cycle of every campaign lasts, in world time."""
    prices_url: str = ""
    """Root of a CoinGecko of one's own that knows what the chain's token is worth."""
    price_coin: str = ""
    """The token's id there."""

    def __repr__(self) -> str:
        return f"SandboxEndpoints({self.venue.rest}, {self.chain.url}, {self.mixin.url})"
