"""What goes wrong in a world on purpose: a file in its folder, read when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from mrmarket.partners.hufi.line import Route
from mrmarket.partners.hufi.sandbox.faults import FaultKind, FaultRule
from mrmarket.partners.mixin.sandbox.faults import MixinFault
from mrmarket.services.sandbox.errors import SandboxStateError

TROUBLE_FILE: Final = "trouble.json"


class HufiTrouble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route of HuFi that misbehaves so many times."""

    method: str
    template: str
    """Its path as the client names it, such as `/campaigns/join`."""
    kind: FaultKind
    times: int = 1
    delay_s: float = 0.0

    @property
    def rule(self) -> FaultRule:
        """As the sandbox takes it."""
        route = Route(self.method, self.template, is_safe=self.method in {"GET", "DELETE"})
        return FaultRule(route, self.kind, self.times, self.delay_s)


class Trouble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that goes wrong."""

    mixin: tuple[MixinFault, ...] = ()
    hufi: tuple[HufiTrouble, ...] = ()
    seed: int = 0
    """Chooses which requests to Mixin are struck."""


def read_trouble(folder: Path) -> Trouble:
    """What a folder's file asks for; nothing where there is none. Raises `SandboxStateError`."""
    file = folder / TROUBLE_FILE
    if not file.exists():
        return Trouble()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Trouble)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SandboxStateError(file, f"it cannot be read ({error})", "correct it, or delete it") from error
