"""A world's folder, its plan, and what of both is refused."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mrmarket.cli.commands.sandbox import shown
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.chains.human.deployment import Contracts
from mrmarket.services.sandbox.config import SandboxConfig
from mrmarket.services.sandbox.endpoints import (
    ChainDoor,
    HufiDoor,
    MixinDoor,
    PersonDoor,
    SandboxEndpoints,
)
from mrmarket.services.sandbox.errors import SandboxStateError
from mrmarket.services.sandbox.memory import Ports, WorldFolder, WorldMemory, usable
from mrmarket.services.sandbox.process import SandboxProcess
from mrmarket.services.sandbox.world import SandboxWorld
from mrmarket.services.sandbox.world_time import WorldTime
from mrmarket.services.venue_process import Endpoints

TIME = WorldTime(1_700_000_000_000_000_000, 1_700_000_000_000_000_000, 4.0)


def test_a_folder_has_one_world(tmp_path: Path) -> None:
    """What it remembers comes back; a second process is refused while the first is there."""
    folder = WorldFolder(tmp_path / "world")
    assert folder.load() is None
    memory = WorldMemory(
        TIME, 60, contracts=Contracts("0x1", "0x2", "0x3"), start_block=12, ports=Ports(chain=8545)
    )
    assert memory.at_speed(4.0, 2 * 10**18) is memory
    memory = memory.at_speed(2.0, TIME.origin_wall_ns + 10)
    assert (memory.past, memory.time.speed) == ((TIME,), 2.0)
    assert memory.history.world_ns(TIME.origin_wall_ns + 20) == TIME.origin_world_ns + 60
    folder.save(memory)
    with pytest.raises(SandboxStateError, match="another world lives in it"):
        WorldFolder(tmp_path / "world")
    folder.close()
    again = WorldFolder(tmp_path / "world")
    assert again.load() == memory
    (tmp_path / "world" / "world.json").write_text("{")
    with pytest.raises(SandboxStateError, match="cannot be read"):
        again.load()
    again.close()


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    """A file in its place is refused with what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SandboxStateError, match="choose another"):
        WorldFolder(tmp_path / "file" / "world")


def test_a_start_that_was_never_finished_leaves_nothing(tmp_path: Path) -> None:
    """No book may know more than another; whatever else is in the folder stays."""
    folder = WorldFolder(tmp_path)
    (tmp_path / "hufi" / "results").mkdir(parents=True)
    for name in ("hufi/book.json", "chain.json", "mixin.db-wal", "trouble.json", "thesis.doc"):
        (tmp_path / name).write_text("{}")
    folder.clear()
    assert {path.name for path in tmp_path.iterdir()} == {"world.lock", "trouble.json", "thesis.doc"}
    folder.close()


def test_a_port_is_kept_while_it_is_free() -> None:
    """One that somebody listens on becomes any."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert usable(port) == 0
    assert usable(port) == port


@pytest.mark.parametrize(
    "wrong", [{"speed": 0}, {"speed": 1_000}, {"cycle_s": 0}, {"fund": 0}, {"confirmations": 0}]
)
def test_a_world_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    """Before anything is started."""
    with pytest.raises(InvalidInputError):
        SandboxConfig(state_dir="world", **wrong)


def test_the_plan_of_a_child_is_private_and_ends_with_us(tmp_path: Path) -> None:
    """It holds accounts' keys to be, and the child goes when we do."""
    SandboxProcess(SandboxConfig(state_dir=str(tmp_path / "world"), cycle_s=30))
    plan = tmp_path / "world" / "plan.json"
    assert plan.stat().st_mode & 0o077 == 0
    read = msgspec.json.decode(plan.read_bytes(), type=SandboxConfig)
    assert (read.cycle_s, read.exit_with_parent) == (30, True)


@pytest.mark.parametrize(
    ("cycle_s", "problem"), [(30, "cycles last 60 s, not 30 s"), (60, "its chain is gone")]
)
async def test_a_world_that_lost_a_part_is_not_begun_anew(tmp_path: Path, cycle_s: int, problem: str) -> None:
    """Books that remember a chain are not joined to another one, nor cycles to other cycles."""
    folder = WorldFolder(tmp_path)
    folder.save(WorldMemory(TIME, 60, contracts=Contracts("0x1", "0x2", "0x3")))
    if cycle_s != 60:
        (tmp_path / "chain.json").write_text("{}")
    folder.close()
    with pytest.raises(SandboxStateError, match=problem):
        await SandboxWorld(SandboxConfig(state_dir=str(tmp_path), cycle_s=cycle_s)).start()
    WorldFolder(tmp_path).close()


def test_no_key_is_printed() -> None:
    """Doors say where they are, and nothing that opens them; neither does what a person is shown."""
    chain = ChainDoor("c", 1, "http://x", "ws://x", 3, "T", "0x1", 18, "0x2", "0xsecret")
    mixin, ada = MixinDoor("http://x", "", "secret", "a", "HMT"), PersonDoor("Ada", "id", "secret")
    venue = Endpoints("http://v", "", "", "k", "secret", ["BTC/USDT"])
    ready = SandboxEndpoints(venue, chain, HufiDoor("http://l", "http://o"), mixin, [ada], TIME, 60_000)
    table = shown(ready)
    assert (table["exchange"], table["people"]) == ("http://v (BTC/USDT)", "Ada id")
    assert table["cycle"] == "60 world seconds, 4 in a second"
    for said in (chain, mixin, ada, ready, table):
        assert "secret" not in repr(said)
