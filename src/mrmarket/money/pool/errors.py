"""What settlement and the pool refuse."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class PoolError(MrMarketError):
    """The pool did not do what was asked; no balance has changed."""

    code = "pool_error"


class StreamBrokenError(PoolError):
    """A fact does not follow from the one before it: the event log was altered."""

    code = "stream_broken"

    def __init__(self, stream: str, seq: int, reason: str) -> None:
        self.stream = stream
        self.seq = seq
        self.reason = reason
        super().__init__(
            f"event {seq} of stream {stream!r}: {reason}; settlement stopped before it, check the event log"
        )


class NoPriceError(PoolError):
    """Something to be valued has no observed price."""

    code = "no_price"
    retryable = True

    def __init__(self, assets: list[str]) -> None:
        self.assets = assets
        super().__init__(f"no price is known for {', '.join(assets)}; wait for market data and try again")


class UnknownDepositorError(PoolError):
    """Somebody without shares asked for a withdrawal."""

    code = "unknown_depositor"

    def __init__(self, user: str) -> None:
        self.user = user
        super().__init__(f"{user!r} holds no shares of this pool; check the name")
