"""What goes wrong in a world on purpose: read from its folder, struck at the right route."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from mrmarket.core.clock import SystemClock
from mrmarket.partners.hufi.sandbox.faults import FaultKind
from mrmarket.partners.hufi.sandbox.feed import WrittenFeed
from mrmarket.partners.hufi.sandbox.server import HufiSandbox
from mrmarket.partners.mixin.sandbox.faults import MixinFault, MixinFaultKind
from mrmarket.services.sandbox.errors import SandboxStateError
from mrmarket.services.sandbox.trouble import TROUBLE_FILE, Trouble, read_trouble


async def test_a_folder_says_what_goes_wrong(tmp_path: Path) -> None:
    """A route of HuFi fails so many times and works again, whatever it is to ask it twice."""
    wanted = {
        "seed": 3,
        "mixin": [{"kind": "lost_after", "rate": 0.5}],
        "hufi": [{"method": "POST", "template": "/auth/nonce", "kind": "broken", "times": 2}],
    }
    (tmp_path / TROUBLE_FILE).write_text(json.dumps(wanted))
    trouble = read_trouble(tmp_path)
    assert (trouble.seed, trouble.mixin) == (3, (MixinFault(MixinFaultKind.LOST_AFTER, rate=0.5),))
    (one,) = trouble.hufi
    assert (one.rule.kind, one.rule.times) == (FaultKind.BROKEN, 2)
    async with HufiSandbox(WrittenFeed(), world=SystemClock()) as hufi, aiohttp.ClientSession() as session:
        hufi.faults.set(one.rule)
        told = []
        for _ in range(3):
            body = {"address": "0x" + "11" * 20}
            async with session.post(f"{hufi.oracle_url}/auth/nonce", json=body) as answer:
                told.append(answer.status)
        assert told == [500, 500, 200]


def test_a_folder_without_the_file_is_without_trouble(tmp_path: Path) -> None:
    """And one whose file cannot be read is refused by name."""
    assert read_trouble(tmp_path) == Trouble()
    for wrong in ("{", '{"mixin": [{"kind": "magic"}]}', '{"mixen": []}'):
        (tmp_path / TROUBLE_FILE).write_text(wrong)
        with pytest.raises(SandboxStateError, match=rf"{TROUBLE_FILE}.*correct it, or delete it"):
            read_trouble(tmp_path)
