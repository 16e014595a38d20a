"""Checks of clock, permissions, ports and notices: what an instance needs of the machine around it."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mrmarket.core.clock import NS_PER_S, Clock, ManualClock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.config_sections import Config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.finding import Finding
from mrmarket.services.notify.configured import open_ways

_EARLIEST_S: Final = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
_SLACK_S: Final = 2
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_PRIVATE: Final = ("*.db", "*.db-wal", "*.key", "*.token", "*.id", "*.log", "*.log.*", "keys*")


def check_clock(data: Path, clock: Clock) -> Iterator[Finding]:
    """The wall clock is in this decade and not behind what was written here before."""
    now_s = clock.now_ns() / NS_PER_S
    shown = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds")
    written_s = max((path.stat().st_mtime for path in _files(data)), default=0.0)
    if now_s < _EARLIEST_S or written_s > now_s + _SLACK_S:
        why = "" if now_s < _EARLIEST_S else f", {written_s - now_s:.0f} s before the newest file in {data}"
        yield Finding(
            check="clock",
            result="fail",
            found=f"{shown}{why}",
            next_step="set the clock and keep it by NTP: exchanges refuse requests that are seconds off",
        )
        return
    yield Finding(check="clock", result="ok", found=shown)


def check_permissions(data: Path) -> Iterator[Finding]:
    """Nobody but the owner reads databases, keys, tokens and logs."""
    if not data.is_dir():
        return
    open_ones = [path.name for path in _files(data) if path.stat().st_mode & _OTHERS]
    if data.stat().st_mode & _OTHERS and open_ones:
        shown = ", ".join(sorted(open_ones)[:4]) + (" …" if len(open_ones) > 4 else "")  # noqa: PLR2004 - a glance
        yield Finding(
            check="permissions",
            result="fail",
            found=f"others on this machine may read {shown}",
            next_step=f"chmod -R go= {data}",
        )
        return
    foreign = [path.name for path in _files(data) if path.stat().st_uid != os.geteuid()]
    yield Finding(
        check="permissions",
        result="warn" if foreign else "ok",
        found=f"not owned by this user: {', '.join(sorted(foreign)[:4])}"
        if foreign
        else "for the owner alone",
        next_step=f"start it as the user who owns {data}" if foreign else "",
    )


def check_telemetry_port(config: Config, data: Path) -> Iterator[Finding]:
    """The port for figures is free, or ours, or not wanted."""
    section = config.telemetry
    if not section.port:
        yield Finding(check="figures", result="ok", found="no port of their own; GET /api/v1/metrics")
        return
    where = f"{section.host}:{section.port}"
    if DataDirectory(data).whereabouts() is not None:
        yield Finding(check="figures", result="ok", found=f"served on {where} while the instance runs")
        return
    try:
        with socket.create_server((section.host, section.port)):
            yield Finding(check="figures", result="ok", found=f"{where} is free")
    except OSError as error:
        yield Finding(
            check="figures",
            result="fail",
            found=f"{where}: {error.strerror}",
            next_step="stop what uses it, or give another [telemetry] port",
        )


def check_notices(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Somebody hears of what goes wrong."""
    try:
        ways = [way.name for way in open_ways(config.notify, environ, config.instance.name, ManualClock())]
    except MrMarketError as refused:
        yield Finding(check="notices", result="fail", found=str(refused), next_step="mrmarket notify test")
        return
    real = not config.play_money
    yield Finding(
        check="notices",
        result="ok" if ways or not real else "warn",
        found=f"by {' and '.join(ways)}" if ways else "nobody is told of anything",
        next_step="" if ways or not real else "set the variables of [notify], then: mrmarket notify test",
    )


def _files(data: Path) -> list[Path]:
    return (
        [path for pattern in _PRIVATE for path in data.glob(pattern) if path.is_file()]
        if data.is_dir()
        else []
    )
