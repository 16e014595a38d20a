"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["visitor", "user", "admin"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A role, for users their account name (without `user:`), and the session that says so."""

    role: Role
    user: str | None = None
    session: str | None = None
    """The session's digest; None for visitors and for the owner's token."""


VISITOR: Final = Identity("visitor")
OWNER: Final = Identity("admin")
"""The holder of the owner's token, who has no session."""


@dataclass(frozen=True, slots=True)
class Site:
    """Under which address the browser sees this instance."""

    scheme: str
    domain: str
    """Host, with the port where it is not the scheme's own."""

    @property
    def origin(self) -> str:
        """Scheme and domain as browsers write them."""
        return f"{self.scheme}://{self.domain}"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A fresh session: the secret is told this once and kept nowhere."""

    token: str
    identity: Identity
    expires_ms: int
