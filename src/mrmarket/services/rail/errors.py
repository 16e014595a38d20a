"""What the simulated payment network refuses, each with a stable code."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mrmarket.core.errors import MrMarketError


class RailRefusedError(MrMarketError):
    """The rail answered no: nothing was changed."""

    code = "rail_refused"

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        """The rail's own stable code, such as `idempotency_conflict`."""
        self.detail = detail
        super().__init__(f"the payment rail refused ({reason}): {detail}")


class RailUnclearError(MrMarketError):
    """No answer came that can be relied on: the request may or may not have had its effect."""

    code = "rail_unclear"
    retryable = True

    def __init__(self, request: str, detail: str) -> None:
        self.request = request
        self.detail = detail
        super().__init__(f"the payment rail: {request}: {detail}; ask it what became of the request")


class RailStateError(MrMarketError):
    """The rail's folder cannot be used."""

    code = "rail_state"

    def __init__(self, path: Path, detail: str, advice: str) -> None:
        self.path = path
        super().__init__(f"{path}: {detail}; {advice}")


class RailPortTakenError(MrMarketError):
    """The rail's address cannot be listened on."""

    code = "port_taken"
    retryable = True

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host = host
        self.port = port
        super().__init__(
            f"cannot listen on {host}:{port} ({reason}); choose another port, or 0 for any free one"
        )


class WorldRefusal(MrMarketError):  # noqa: N818 - a refusal is an answer, not a fault
    """The network refuses what somebody asked for; nothing was changed."""

    code = "world_refused"
    status: ClassVar[int] = 400


class BadRequestError(WorldRefusal):
    """A request that cannot be read."""

    code = "invalid_request"


class UnauthorizedError(WorldRefusal):
    """The token of the endpoint is missing or wrong."""

    code = "unauthorized"
    status = 401

    def __init__(self) -> None:
        super().__init__("give the token of this side of the rail as a Bearer token")


class NoSuchEndpointError(WorldRefusal):
    """A path or method that the rail does not have."""

    code = "no_such_endpoint"
    status = 404


class ConflictError(WorldRefusal):
    """The key was used for something else."""

    code = "idempotency_conflict"
    status = 409

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the key {key!r} was used for another payment; give each payment its own")


class UnknownAssetError(WorldRefusal):
    """The network does not carry the asset."""

    code = "unknown_asset"

    def __init__(self, code: str, known: list[str]) -> None:
        self.asset = code
        super().__init__(f"there is no asset {code!r}; give one of {', '.join(known)}")


class BadAmountError(WorldRefusal):
    """An amount that is none."""

    code = "invalid_amount"


class BadDestinationError(WorldRefusal):
    """Money cannot be sent there."""

    code = "invalid_destination"

    def __init__(self, destination: str, wanted: str) -> None:
        self.destination = destination
        super().__init__(f"{destination!r} takes no payment; give {wanted}")


class BadMemoError(WorldRefusal):
    """A memo that the network does not carry."""

    code = "invalid_memo"

    def __init__(self) -> None:
        super().__init__("a memo is at most 256 printable characters")


class InsufficientFundsError(WorldRefusal):
    """The sender has too little."""

    code = "insufficient_funds"
    status = 409

    def __init__(self, sender: str, asset: str, wanted: str, held: str) -> None:
        super().__init__(f"{sender} has {held} {asset} and {wanted} are needed; send less or fund it first")


class FaucetEmptyError(WorldRefusal):
    """The wallet was given enough for today."""

    code = "faucet_empty"
    status = 409

    def __init__(self, asset: str, left: str) -> None:
        self.left = left
        super().__init__(f"the faucet gives this wallet {left} {asset} more today; ask for less or tomorrow")


class UnknownCursorError(WorldRefusal):
    """A cursor that this rail never gave."""

    code = "cursor_unknown"

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        super().__init__(f"the feed has no place {cursor[:40]!r}; start again with the empty cursor")
