"""Checks of the machine and the data folder, each with what to do next."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mrmarket.core.clock import SystemClock
from mrmarket.core.errors import MrMarketError
from mrmarket.services.api.pages import WEB_ROOT
from mrmarket.services.audit import verify_store
from mrmarket.services.config import LoadedConfig
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.finding import Finding
from mrmarket.services.keys.condition import look_at_keys
from mrmarket.services.machine_checks import (
    check_clock,
    check_notices,
    check_permissions,
    check_telemetry_port,
)
from mrmarket.services.remote import RemoteInstance
from mrmarket.services.store_address import StoreAddress

_LEAST_FREE: Final = 512 * 1024**2
_OLDEST_SQLITE: Final = (3, 37, 0)
"""STRICT tables came with it."""


def diagnose(loaded: LoadedConfig, data: Path) -> list[Finding]:
    """Run every check; none of them changes anything."""
    findings: list[Finding] = []
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        _sqlite,
        lambda: check_clock(data, SystemClock()),
        lambda: _folder(data),
        lambda: check_permissions(data),
        lambda: _privacy(data),
        lambda: _running_or_port(loaded, data),
        lambda: _books(StoreAddress(data, loaded.config.store.url)),
        _pages,
        _compiler,
        lambda: _keys(loaded, data),
        lambda: _tapes(loaded),
        lambda: check_telemetry_port(loaded.config, data),
        lambda: check_notices(loaded.config, os.environ),
        lambda: _partners(loaded, data),
    ]
    for check in checks:
        findings.extend(check())
    return findings


def _python() -> Iterator[Finding]:
    yield Finding(check="python", result="ok", found=sys.version.split()[0])


def _sqlite() -> Iterator[Finding]:
    good = sqlite3.sqlite_version_info >= _OLDEST_SQLITE
    yield Finding(
        check="sqlite",
        result="ok" if good else "fail",
        found=sqlite3.sqlite_version,
        next_step="" if good else "install a Python built with SQLite 3.37 or newer",
    )


def _folder(data: Path) -> Iterator[Finding]:
    place = data
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        yield Finding(
            check="data folder",
            result="fail",
            found=f"{place} is not a folder",
            next_step="choose another --data",
        )
        return
    if not os.access(place, os.W_OK):
        yield Finding(
            check="data folder",
            result="fail",
            found=f"{place} is not writable",
            next_step="choose another --data",
        )
        return
    free = shutil.disk_usage(place).free
    good = free >= _LEAST_FREE
    yield Finding(
        check="data folder",
        result="ok" if good else "warn",
        found=f"{data.resolve()}, {free // 1024**2} MB free",
        next_step="" if good else "free some disk: below 512 MB the databases may fill it",
    )


def _privacy(data: Path) -> Iterator[Finding]:
    """Files of ours that others may read; new ones never are, but a copy of the folder may be."""
    try:
        open_to_others = [path.name for path in [data, *data.iterdir()] if path.stat().st_mode & 0o077]
    except OSError:
        return  # it is not there, or not ours to read, which the check before this one says
    yield Finding(
        check="privacy",
        result="warn" if open_to_others else "ok",
        found=f"others may read {', '.join(sorted(open_to_others)[:5])}" if open_to_others else "yours alone",
        next_step=f"chmod -R go-rwx {data}" if open_to_others else "",
    )


def _running_or_port(loaded: LoadedConfig, data: Path) -> Iterator[Finding]:
    if DataDirectory(data).whereabouts() is not None:
        try:
            instance = RemoteInstance.of(data)
            yield Finding(check="instance", result="ok", found=f"{instance.status().state} at {instance.url}")
        except MrMarketError as error:
            yield Finding(
                check="instance", result="warn", found=str(error), next_step="it may have been killed"
            )
        else:
            return
    api = loaded.config.api
    try:
        with socket.create_server((api.host, api.port)):
            yield Finding(check="port", result="ok", found=f"{api.host}:{api.port} is free")
    except OSError as error:
        yield Finding(
            check="port",
            result="fail",
            found=f"{api.host}:{api.port}: {error.strerror}",
            next_step="stop what uses it, or start with another --port",
        )


def _books(address: StoreAddress) -> Iterator[Finding]:
    try:
        if not address.has_books():
            yield Finding(check="ledger", result="ok", found="no ledger yet")
            return
        verified = verify_store(address)
    except MrMarketError as error:
        yield Finding(check="ledger", result="fail", found=str(error), next_step="do not trade on it")
        return
    yield Finding(
        check="ledger",
        result="ok" if verified.ok else "fail",
        found=f"{verified.groups} groups verified" if verified.ok else str(verified.reason),
        next_step="" if verified.ok else "keep a copy of the folder and restore the last good backup",
    )


def _pages() -> Iterator[Finding]:
    built = (WEB_ROOT / "index.html").exists()
    yield Finding(
        check="pages",
        result="ok" if built else "warn",
        found="built" if built else "not built",
        next_step="" if built else "run: make setup",
    )


def _compiler() -> Iterator[Finding]:
    present = find_spec("numba") is not None
    yield Finding(
        check="compiled kernel",
        result="ok",
        found="numba is installed" if present else "numba is not installed: the kernel runs uncompiled",
    )


def _keys(loaded: LoadedConfig, data: Path) -> Iterator[Finding]:
    config = loaded.config
    if config.play_money:
        yield Finding(check="exchange keys", result="ok", found="none needed: simulated or paper")
        return
    for seen in look_at_keys(config.venue, config.keys, data, os.environ):
        yield Finding(check="exchange keys", result=seen.result, found=seen.found, next_step=seen.next_step)


def _partners(loaded: LoadedConfig, data: Path) -> Iterator[Finding]:
    from mrmarket.services.partners.checks import check_partners  # noqa: PLC0415 - an extra, and slow to load
    from mrmarket.services.partners.setting import partner_setting  # noqa: PLC0415 - the same

    try:
        setting = partner_setting(loaded.config, data, os.environ)
    except MrMarketError as refused:
        yield Finding(check="partners", result="fail", found=str(refused), next_step="choose another --data")
        return
    yield from check_partners(setting)


def _tapes(loaded: LoadedConfig) -> Iterator[Finding]:
    for name in loaded.config.simulation.tapes:
        there = Path(name).is_file()
        yield Finding(
            check="tape",
            result="ok" if there else "fail",
            found=name if there else f"{name} is not there",
            next_step="" if there else "correct [simulation] tapes",
        )
