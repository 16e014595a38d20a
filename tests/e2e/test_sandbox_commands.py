"""The commands beside an instance that lives in a sandbox world: what they say fits what happens there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from e2e.running import RunningInstance, start_instance, wait_until
from mrmarket.cli.app import run
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.services.sandbox.endpoints import SandboxEndpoints
from partners.chains.local_chain import needs_anvil

pytestmark = needs_anvil
SIX = ["transaction", "entry", "transfer", "allocation", "credit", "receipt"]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningInstance]:
    """An instance in a world at ten times our speed: a cycle is six seconds."""
    running = start_instance(tmp_path_factory.mktemp("world") / "data", "--world", "sandbox", "--speed", "10")
    yield running
    running.interrupt()


class Shell:
    """A command line on the instance's folder."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._data = data
        self._capsys = capsys
        self.status = 0

    def __call__(self, *arguments: str, status: int | None = ExitCode.OK) -> Any:
        """The one object that a command prints."""
        self._capsys.readouterr()
        self.status = run([*arguments, "--data", str(self._data), "--json"])
        answer = json.loads(self._capsys.readouterr().out.splitlines()[-1])
        assert status is None or self.status == status, answer
        return answer


@pytest.fixture
def shell(instance: RunningInstance, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Another shell than the one that it runs in."""
    return Shell(instance.data, capsys)


def joined(shell: Shell) -> dict[str, Any] | None:
    """The campaign that is worked for, once there is one."""
    found = shell("campaign", "list", "--stage", "active", status=None)
    return next(iter(found.get("campaigns", [])), None)


def test_a_campaign_is_followed_from_the_list_to_a_receipt(shell: Shell) -> None:
    """Joined by itself, estimated with everybody's standing and a price, paid, and traced by every name."""
    wait_until(lambda: joined(shell))
    campaign = joined(shell)
    assert campaign is not None
    estimate = shell("campaign", "estimate", campaign["id"][:20])
    assert estimate["silent"] == []
    assert (estimate["token"], estimate["price"]["source"]) == ("HMT", "coingecko")

    def first_payout() -> Any:
        payouts = shell("campaign", "show", campaign["id"])["payouts"]
        return next((one for one in payouts if one["state"] == "arrived"), None)

    wait_until(first_payout)
    payout = first_payout()

    def paid_out() -> Any:
        (trace,) = shell("rewards", "trace", payout["tx"])["traces"]
        return trace if trace["state"] == "done" else None

    wait_until(paid_out, seen=lambda: shell("rewards", "trace", payout["tx"]))
    trace = paid_out()
    assert [step["name"] for step in trace["steps"]] == SIX
    names = {(name["kind"], name["id"]) for step in trace["steps"] for name in step["ids"]}
    assert {kind for kind, _ in names} >= {"transaction", "entry", "transfer", "run", "payout", "payment"}
    for kind, name in sorted(names):
        if kind == "group":
            continue  # the ledger's own
        again = shell("rewards", "trace", name)["traces"]
        assert all(one["campaign"] == campaign["id"] for one in again), (kind, name)
        assert payout["cycle"] in {one["cycle"] for one in again}, (kind, name)


def test_vault_and_bot_are_asked_beside_the_instance(shell: Shell, instance: RunningInstance) -> None:
    """Its account, gas, limits and head; the bot's coins; dry runs that send nothing; doctor is content."""
    world = msgspec.json.decode(
        (instance.data / "sandbox" / "endpoints.json").read_bytes(), type=SandboxEndpoints
    )
    vault = shell("vault", "status")
    assert vault["vaults"][0]["account"] == world.chain.wallet_address
    assert vault["chains"][0]["head"] >= 0
    assert shell("vault", "sweep", "--dry-run", status=None)["dry_run"] is True
    assert shell("mixin", "whoami")["can_spend"] is True
    assert isinstance(shell("mixin", "outputs")["outputs"], list)
    to = ["mixin", "transfer", "--to", world.people[0].user_id, "--asset", world.mixin.asset_code]
    dry = shell(*to, "--amount", "0.00000001", "--dry-run", status=None)
    assert dry.get("dry_run") or dry["error"]["code"] == "mixin_short"
    found = {each["check"]: each["result"] for each in shell("doctor")["findings"]}
    assert {found[name] for name in ("vault key", "chain sandbox", "mixin keystore", "mixin")} == {"ok"}


def test_the_owners_word_and_a_sweep_reach_the_instance(shell: Shell) -> None:
    """A wish is kept and taken back; a sweep is planned and begun at once."""
    wait_until(lambda: joined(shell))
    campaign = joined(shell)
    assert campaign is not None
    assert shell("campaign", "leave", campaign["id"])["owner"]["wish"] == "leave"
    assert shell("campaign", "automatic", campaign["id"])["owner"]["wish"] == "automatic"
    assert set(shell("vault", "sweep")) == {"plans", "under_way"}


def test_a_world_that_cannot_start_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program that MRMARKET_ANVIL names is the one that is taken, also by the instance's child."""
    monkeypatch.setenv("MRMARKET_ANVIL", str(tmp_path / "no-anvil"))
    data = tmp_path / "data"
    arguments = ["run", "--world", "sandbox", "--data", str(data), "--port", "0", "--json"]
    assert run(arguments) == ExitCode.REFUSED
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "no-anvil" in told["error"]["message"]
    assert not data.exists()
