"""A door for tests: a manual clock, cheap passwords, and an owner's token that the test knows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from litestar.testing import TestClient

from mrmarket.core.clock import ManualClock
from mrmarket.services.access.access import Access
from mrmarket.services.access.owner_token import OwnerToken
from mrmarket.services.access.password import Passwords
from mrmarket.services.access.repository import ControlStore
from mrmarket.services.access.settings import AccessSettings
from mrmarket.services.api.app import create_app
from mrmarket.services.api.money_face import MoneyFace
from mrmarket.services.api.partners_face import PartnersFace
from mrmarket.services.api.selection_face import SelectionFace
from services.face_fake import FakeFace
from services.operations_fake import FakeOperations
from services.partners_fake import FakePartners
from services.selection_fake import FakeSelection

LOCAL = "http://127.0.0.1"
BEARER = {"Authorization": "Bearer the-owners-token"}
PASSWORD = "correct horse battery staple"


def counted(seed: str = "") -> Callable[[int], bytes]:
    """Bytes that look random and are the same in every run."""
    turns = iter(range(10**9))

    def entropy(count: int) -> bytes:
        block = hashlib.sha512(f"{seed}{next(turns)}".encode()).digest()
        assert count <= len(block)
        return block[:count]

    return entropy


@dataclass
class Door:
    """An app with everything in reach of the test."""

    settings: AccessSettings = field(default_factory=lambda: AccessSettings(demo=True, open_desk=True))
    money: MoneyFace | None = None
    face: FakeFace = field(default_factory=FakeFace)
    clock: ManualClock = field(default_factory=ManualClock)
    operations: FakeOperations = field(default_factory=FakeOperations)
    selection: SelectionFace | None = field(default_factory=FakeSelection)
    partners: PartnersFace | None = field(default_factory=FakePartners)

    def __post_init__(self) -> None:
        self.store = ControlStore.in_memory()
        self.access = Access(
            self.store,
            self.settings,
            owner=OwnerToken("the-owners-token", None),
            clock=self.clock,
            entropy=counted(),
            passwords=Passwords(memory_kib=64, rounds=1),
        )
        self.app = create_app(
            self.face,
            self.money,
            self.access,
            operations=self.operations,
            selection=self.selection,
            partners=self.partners,
        )

    def client(self, base_url: str = LOCAL) -> TestClient[Any]:
        """A browser that comes from the instance's own address."""
        return TestClient(self.app, base_url=base_url)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(int(seconds * 1e9))


def sign_in(browser: TestClient[Any], name: str) -> dict[str, str]:
    """Be one of the demo's people; returns the headers that a change needs."""
    answer = browser.post("/api/v1/auth/demo", json={"name": name})
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": answer.json()["csrf"]}
