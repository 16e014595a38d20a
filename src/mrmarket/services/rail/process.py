"""The embedded rail as a child process of the instance."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mrmarket.services.child_process import ChildProcess, ChildProcessFailedError
from mrmarket.services.rail.config import RailConfig
from mrmarket.services.rail.messages import RailEndpoints


class RailProcessError(ChildProcessFailedError):
    """The embedded payment rail did not start, or ended."""

    code = "rail_process_failed"


class RailProcess(ChildProcess[RailEndpoints]):
    """`mrmarket rail` as our child: `await start()` gives its `RailEndpoints`."""

    def __init__(self, config: RailConfig) -> None:
        """Write down what it is to serve, in its own folder, where it may be read by nobody else."""
        super().__init__(
            "the embedded payment rail",
            ["rail", "--plan", str(_write_plan(config)), "--json"],
            RailEndpoints,
            RailProcessError,
        )


def _write_plan(config: RailConfig) -> Path:
    state = Path(config.state_dir).absolute()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan = state / "plan.json"
    plan.touch(mode=0o600)
    plan.write_bytes(
        msgspec.json.encode(msgspec.structs.replace(config, state_dir=str(state), exit_with_parent=True))
    )
    return plan
