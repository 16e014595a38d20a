"""The sandbox, opened."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from partners.hufi.hufi_stage import HufiStage


@pytest.fixture
async def stage() -> AsyncIterator[HufiStage]:
    """A sandbox on loopback, and a client of it."""
    async with HufiStage() as opened:
        yield opened
