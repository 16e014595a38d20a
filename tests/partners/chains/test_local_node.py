"""The local node: found, started, ended, and gone with its parent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mrmarket.partners.chains.errors import NodeNotStartedError
from mrmarket.partners.chains.local_node import SANDBOX, VARIABLE, LocalNode, find_anvil
from mrmarket.partners.chains.node import EvmNode
from partners.chains.local_chain import anvil_settings, needs_anvil

PARENT = """
import asyncio, sys
from mrmarket.partners.chains.local_node import LocalNode

async def main():
    node = await LocalNode.start()
    print(node.pid, flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


def test_the_program_is_looked_for_in_three_places(tmp_path: Path) -> None:
    """What the environment names goes first, then the sandbox of the folder or a parent, then the PATH."""
    program = tmp_path / SANDBOX
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    on_path = tmp_path / "bin" / "anvil"
    on_path.parent.mkdir()
    on_path.symlink_to(program)
    below = tmp_path / "deep" / "down"
    below.mkdir(parents=True)
    path = {"PATH": str(on_path.parent)}
    assert find_anvil({VARIABLE: "/opt/anvil", **path}, below) == Path("/opt/anvil")
    assert find_anvil(path, below) == program
    program.rename(tmp_path / "anvil")
    on_path.unlink()
    on_path.symlink_to(tmp_path / "anvil")
    assert find_anvil(path, below) == on_path
    assert find_anvil({}, below) is None


async def test_what_does_not_start_is_said(tmp_path: Path) -> None:
    """A missing program, one that cannot run, and one that ends at once with its last words."""
    with pytest.raises(NodeNotStartedError, match="not installed"):
        await LocalNode.start(environ={"PATH": str(tmp_path)}, folder=tmp_path)
    with pytest.raises(NodeNotStartedError, match="No such file"):
        await LocalNode.start(environ={VARIABLE: str(tmp_path / "none")})
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\necho the port is taken\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(NodeNotStartedError, match="the port is taken"):
        await LocalNode.start(environ={VARIABLE: str(program)})


@needs_anvil
async def test_a_node_answers_and_ends(tmp_path: Path) -> None:
    """On loopback, as the chain that was asked for; ending it twice is harmless."""
    async with await LocalNode.start(chain_id=4242, block_s=60, state=tmp_path / "state.json") as local:
        node = EvmNode(anvil_settings(local, chain_id=4242))
        await node.open()
        assert (await node.head()).number == 0
        await node.close()
        pid = local.pid
    await local.stop()
    assert not psutil.pid_exists(pid)
    assert (tmp_path / "state.json").exists()


@needs_anvil
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise")
async def test_a_node_is_gone_with_its_parent() -> None:
    """Even when the parent is killed without a chance to clean up."""
    parent = subprocess.Popen(  # noqa: ASYNC220 - a parent that is to be killed
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent,
        env=dict(os.environ),
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    child = psutil.Process(int(await asyncio.to_thread(parent.stdout.readline)))
    parent.kill()
    parent.wait()
    await asyncio.to_thread(child.wait, 20)
    assert not child.is_running()
    parent.stdout.close()
    parent.stdin.close()
