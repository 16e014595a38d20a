"""A mailbox for each test that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.notify.mailbox import Mailbox


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """A server that takes notices."""
    box = Mailbox()
    await box.start()
    yield box
    await box.stop()
