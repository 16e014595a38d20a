"""The embedded exchange as a process of its own, so that it never shares our interpreter."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mrmarket.services.child_process import ChildProcess, ChildProcessFailedError


class VenueProcessError(ChildProcessFailedError):
    """The embedded exchange did not start, or ended."""

    code = "venue_process_failed"


class AccountKeys(msgspec.Struct, frozen=True):
    """How to get at one account of the embedded exchange."""

    account: str
    api_key: str
    api_secret: str
    angel_key: str
    """May query and cancel, and nothing else."""
    angel_secret: str

    def __repr__(self) -> str:
        return f"AccountKeys({self.account})"


class Endpoints(msgspec.Struct, frozen=True):
    """The line that `mrmarket venue --json` prints when it is ready."""

    rest: str
    ws: str
    ws_api: str
    api_key: str
    api_secret: str
    symbols: list[str]
    angel_key: str = ""
    """A second key of the first account: it may query and cancel, and nothing else."""
    angel_secret: str = ""
    accounts: list[str] = []
    """Names of its accounts, that of the key first."""
    keys: list[AccountKeys] = []
    """Both key pairs of every account."""
    funding_token: str = ""
    """Opens its calls that credit and debit accounts from outside."""

    def __repr__(self) -> str:
        return f"Endpoints({self.rest})"


class VenueProcess(ChildProcess[Endpoints]):
    """`mrmarket venue` as our child. Our orders are cancelled before it goes."""

    def __init__(self, plan: Path) -> None:
        super().__init__(
            "the embedded exchange",
            ["venue", "--plan", str(plan), "--json"],
            Endpoints,
            VenueProcessError,
        )
