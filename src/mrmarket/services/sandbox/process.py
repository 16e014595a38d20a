"""The sandbox world as a child process of the instance."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from mrmarket.partners.chains.local_node import VARIABLE
from mrmarket.services.child_process import ChildProcess, ChildProcessFailedError, write_plan
from mrmarket.services.keys.hardening import child_environment
from mrmarket.services.sandbox.config import SandboxConfig
from mrmarket.services.sandbox.endpoints import SandboxEndpoints

LOCK = "world.lock"
"""Held by the world that lives in a folder."""


class SandboxProcessError(ChildProcessFailedError):
    """The sandbox world did not start, or ended."""

    code = "sandbox_process_failed"


class SandboxProcess(ChildProcess[SandboxEndpoints]):
    """`mrmarket sandbox` as our child: `await start(after=state/LOCK)` gives its `SandboxEndpoints`."""

    def __init__(self, config: SandboxConfig) -> None:
        """Write down what it is to be, in its own folder, where it may be read by nobody else."""
        state = Path(config.state_dir).absolute()
        plan = msgspec.structs.replace(config, state_dir=str(state), exit_with_parent=True)
        super().__init__(
            "the sandbox world",
            ["sandbox", "--plan", str(write_plan(plan, state)), "--json"],
            SandboxEndpoints,
            SandboxProcessError,
            # Else somebody who has anvil elsewhere could start a world alone, and not an instance in one.
            environment=child_environment(os.environ, VARIABLE),
        )
