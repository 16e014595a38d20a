"""Which role each route needs; a route says so with `opt`, and one that says nothing is never served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from mrmarket.services.access.identity import Identity
from mrmarket.services.api.refusals import ForbiddenError, SignInNeededError

Needs = Literal["anybody", "desk", "user", "admin"]
"""`desk`: anybody where the desk is open, otherwise somebody who is signed in."""

ANYBODY: Final[dict[str, Any]] = {"needs": "anybody"}
DESK: Final[dict[str, Any]] = {"needs": "desk"}
USER: Final[dict[str, Any]] = {"needs": "user"}
ADMIN: Final[dict[str, Any]] = {"needs": "admin"}

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]


def role_guard(*, open_desk: bool) -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
    """The guard of every API route."""

    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        require(connection.scope["user"], handler.opt["needs"], open_desk=open_desk)

    return guard


def require(identity: Identity, needs: Needs, *, open_desk: bool) -> None:
    """Refuse whoever may not.

    Raises:
        SignInNeededError: nobody is signed in.
        ForbiddenError: somebody else is.
    """
    if needs == "anybody" or (needs == "desk" and open_desk):
        return
    if identity.role == "visitor":
        raise SignInNeededError
    if needs == "admin" and identity.role != "admin":
        raise ForbiddenError("the owner")
    if needs == "user" and identity.role != "user":
        raise ForbiddenError("a depositor")
