"""Engines as processes on one PostgreSQL, and one exchange with an account for each run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict

from e2e.loopback_venue import LoopbackVenue
from e2e.running import END_S, START_S, RunningInstance, command, start_instance, wait_until
from mrmarket.services.engine.specs import venue_name
from mrmarket.store.operations import RunSpec
from mrmarket.store.postgres_operations import PostgresOperations
from mrmarket.store.postgres_trading_store import PostgresTradingStore

VENUE = "binance"
PARAMETERS = {
    "order_refresh_time": 1.0,
    "order_refresh_tolerance": "0",
    "number_of_layers": 2,
    "bid_spread": "0.00004",
    "ask_spread": "0.00004",
    "order_amount": "0.01",
}


class EngineFloor:
    """Everything on one machine; `end` leaves nothing behind."""

    def __init__(
        self,
        folder: Path,
        postgres: str,
        accounts: list[str],
        *,
        speed: float = 5.0,
        per_account: int = 1,
        parameters: dict[str, Any] = PARAMETERS,
        limits: dict[str, int] | None = None,
        settings: str = "",
    ) -> None:
        """Start the exchange and put the runs down: so many on each account, none for `default`."""
        self.folder = folder
        self.postgres = as_url(postgres)
        self.accounts = accounts
        self.api: RunningInstance | None = None
        self.engines: dict[str, subprocess.Popen[bytes]] = {}
        plan = {
            "speed": speed,
            "accounts": {"default": {}, **{account: {} for account in accounts}},
            "state_dir": str(folder / "exchange"),
            **({"limits": limits} if limits else {}),
        }
        (folder / "plan.json").write_text(json.dumps(plan))
        process = subprocess.Popen(
            command("venue", "--plan", str(folder / "plan.json"), "--json"), stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        keys = json.loads((folder / "exchange" / "keys.json").read_bytes())
        self._keys = {key["account"]: key for key in keys if key.get("use", "trade") == "trade"}
        default = LoopbackVenue(process, ready, folder / "exchange", speed)
        self.venue = default
        self.desks = {
            account: replace(
                default,
                ready={
                    **ready,
                    "api_key": self._keys[account]["key"],
                    "api_secret": self._keys[account]["secret"],
                },
            )
            for account in accounts
        }
        self.operations = PostgresOperations.open(self.postgres)
        self.store = PostgresTradingStore.open(self.postgres)
        self.runs = {
            f"run-{account}" + (f"-{number}" if number else ""): account
            for account in accounts
            for number in range(per_account)
        }
        """Account by id of a run."""
        for run, account in self.runs.items():
            self.operations.put_run(
                RunSpec(
                    id=run,
                    venue=VENUE,
                    account=account,
                    pair="BTC/USDT",
                    kind="pure_market_making",
                    parameters=parameters,
                )
            )
        self._config = folder / "engine.toml"
        self._config.write_text(
            f'[venue]\nexchange = "{VENUE}"\nrest_url = "{ready["rest"]}"\nws_url = "{ready["ws"]}"\n'
            f'ws_api_url = "{ready["ws_api"]}"\n[strategy]\npair = "BTC/USDT"\n{settings}'
        )

    def start(self, name: str) -> str:
        """Start an engine; returns its node."""
        environment = dict(os.environ) | {"NO_COLOR": "1"}
        for account, key in self._keys.items():
            suffix = "" if account == "default" else f"_{account.upper()}"
            environment[f"MRMARKET_API_KEY{suffix}"] = key["key"]
            environment[f"MRMARKET_API_SECRET{suffix}"] = key["secret"]
        arguments = ["--config", str(self._config), "--data", str(self.folder / name), "--role", "engine"]
        process = subprocess.Popen(
            command("run", *arguments, "--store", self.postgres),
            stdout=subprocess.PIPE,
            stderr=(self.folder / f"{name}.log").open("ab"),
            env=environment,
        )
        self.engines[name] = process
        file = self.folder / name / "instance.id"
        wait_until(lambda: process.poll() is not None or self._beats(file), START_S)
        assert process.poll() is None, (self.folder / f"{name}.log").read_text()
        return file.read_text()

    def start_api(self, strategy: str | None = None) -> RunningInstance:
        """Start the API and the business core, without an engine; its run trades on `default`.

        `strategy` is what is added to the engines' configuration; the parameters of all runs without it.
        """
        config = self.folder / "api.toml"
        if strategy is None:
            strategy = "".join(f"{key} = {value}\n" for key, value in PARAMETERS.items())
        config.write_text(self._config.read_text() + strategy)
        self.desks["default"] = self.venue
        arguments = ["--config", str(config), "--role", "api", "--store", self.postgres]
        self.api = start_instance(self.folder / "api", *arguments)
        return self.api

    def node(self, name: str) -> str:
        """An engine's name in the database."""
        return (self.folder / name / "instance.id").read_text()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send an engine a signal."""
        self.engines[name].send_signal(number)

    def holders(self) -> dict[str, tuple[str, int]]:
        """(node, fence) by run."""
        return {
            lease.name: (lease.owner, lease.fence) for lease in self.store.leases() if lease.name in self.runs
        }

    def nodes(self) -> set[str]:
        """Engines that hold a run."""
        return {node for node, _ in self.holders().values()}

    def loads(self) -> list[int]:
        """How many runs each of them holds."""
        return sorted(Counter(node for node, _ in self.holders().values()).values())

    def quoting(self, nodes: set[str]) -> dict[str, int]:
        """Fence of each run that one of these nodes has reported as running under the lease in force."""
        holders = self.holders()
        return {
            report.run: report.fence
            for report in self.operations.reports()
            if report.state == "running"
            and report.node in nodes
            and holders.get(report.run) == (report.node, report.fence)
        }

    def quoting_run(self, run: str) -> bool:
        """Whether an engine has reported a run, of this floor or of the API, as running."""
        return any(report.run == run and report.state == "running" for report in self.operations.reports())

    def until(self, holds: Callable[[], bool], limit_s: float = START_S) -> float:
        """Seconds until something holds; tells who holds what if it never does."""
        began = time.monotonic()
        wait_until(holds, limit_s, seen=lambda: (self.holders(), self.operations.reports()))
        return time.monotonic() - began

    def venue_of(self, account: str) -> str:
        """What the account's venue is called in facts."""
        return venue_name(VENUE, account)

    def stop_all(self) -> None:
        """SIGINT to every engine, and wait."""
        for process in self.engines.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGINT)
        for process in self.engines.values():
            process.wait(END_S)

    def end(self) -> None:
        """Leave no process behind."""
        if self.api is not None and self.api.process.poll() is None:
            self.api.kill()
        for process in self.engines.values():
            if process.poll() is None:
                process.kill()
            process.wait(END_S)
            if process.stdout is not None:
                process.stdout.close()
        self.venue.end()
        self.operations.close()
        self.store.close()

    def _beats(self, file: Path) -> bool:
        return file.exists() and any(beat.node == file.read_text() for beat in self.operations.beats())


def as_url(address: str) -> str:
    """A PostgreSQL address as the command line takes it."""
    parts = conninfo_to_dict(address)
    return f"postgresql:///{parts.pop('dbname')}?{urlencode(parts)}"
