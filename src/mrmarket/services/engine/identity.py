"""The instance's name, which is a part of every order id, when several machines are one instance."""

from __future__ import annotations

from mrmarket.store.operations import Command, CommandState, OperationsStore

_KEY = "instance-identity"


def shared_identity(operations: OperationsStore, proposed: str, at_ms: int) -> str:
    """The name that the first process proposed; every later one is given the same.

    Args:
        operations: the database that the processes share.
        proposed: this process's proposal, in case it is the first.
        at_ms: now, by the wall clock.
    """
    kept = operations.ask(
        Command(
            id=_KEY,
            target=_KEY,
            kind="identity",
            arguments={"instance": proposed},
            asked_by="founder",
            asked_ms=at_ms,
            state=CommandState.ASKED,
        )
    )
    return str(kept.arguments["instance"])
