"""The embedded rail as a child process of the instance."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mrmarket.services.child_process import ChildProcess, ChildProcessFailedError, write_plan
from mrmarket.services.rail.config import RailConfig
from mrmarket.services.rail.messages import RailEndpoints


class RailProcessError(ChildProcessFailedError):
    """The embedded payment rail did not start, or ended."""

    code = "rail_process_failed"


class RailProcess(ChildProcess[RailEndpoints]):
    """`mrmarket rail` as our child: `await start()` gives its `RailEndpoints`."""

    def __init__(self, config: RailConfig) -> None:
        """Write down what it is to serve, in its own folder, where it may be read by nobody else."""
        state = Path(config.state_dir).absolute()
        plan = msgspec.structs.replace(config, state_dir=str(state), exit_with_parent=True)
        super().__init__(
            "the embedded payment rail",
            ["rail", "--plan", str(write_plan(plan, state)), "--json"],
            RailEndpoints,
            RailProcessError,
        )
