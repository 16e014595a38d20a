"""What `mrmarket doctor` says of clock, permissions, ports and notices."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec
import pytest

from mrmarket.core.clock import ManualClock, SystemClock
from mrmarket.services.config_sections import Config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.finding import Finding
from mrmarket.services.machine_checks import (
    check_clock,
    check_notices,
    check_permissions,
    check_telemetry_port,
)


def config(**sections: object) -> Config:
    """A configuration."""
    return msgspec.convert(sections, Config)


def only(findings: object) -> Finding:
    """The one finding."""
    (finding,) = list(findings)  # type: ignore[call-overload] # an iterator of findings
    assert isinstance(finding, Finding)
    return finding


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder as an instance makes it."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    for name in ("money.db", "owner.token", "seal.key"):
        (data / name).touch(mode=0o600)
    return data


def test_a_clock_in_its_time_is_fine(folder: Path) -> None:
    """Today, and after everything that was written here."""
    assert only(check_clock(folder, SystemClock())).result == "ok"


def test_a_clock_behind_our_own_files_is_wrong(folder: Path) -> None:
    """Files from the future mean that the clock was set back: signatures would be refused."""
    os.utime(folder / "money.db", (4_000_000_000, 4_000_000_000))
    finding = only(check_clock(folder, SystemClock()))
    assert finding.result == "fail"
    assert "NTP" in finding.next_step


def test_a_clock_from_before_this_program_is_wrong(tmp_path: Path) -> None:
    """A machine without a battery begins in 1970."""
    assert only(check_clock(tmp_path / "none", ManualClock(0))).result == "fail"


def test_files_for_the_owner_alone_are_fine(folder: Path) -> None:
    """0600 in 0700; a folder that is not there yet is nobody's concern."""
    assert only(check_permissions(folder)).result == "ok"
    assert list(check_permissions(folder / "none")) == []


def test_a_token_that_others_may_read_is_a_fault(folder: Path) -> None:
    """It names the file and the command that mends it."""
    folder.chmod(0o755)
    (folder / "owner.token").chmod(0o644)
    finding = only(check_permissions(folder))
    assert finding.result == "fail"
    assert "owner.token" in finding.found
    assert finding.next_step == f"chmod -R go= {folder}"


def test_a_closed_folder_keeps_its_files(folder: Path) -> None:
    """Nobody gets at a readable file in a folder that nobody else may enter."""
    (folder / "owner.token").chmod(0o644)
    assert only(check_permissions(folder)).result == "ok"


def test_the_port_for_figures_is_tried(folder: Path) -> None:
    """Free is fine, taken is not, unless an instance is running; none wanted is fine too."""
    assert only(check_telemetry_port(config(), folder)).result == "ok"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = config(telemetry={"port": port})
        assert only(check_telemetry_port(wanted, folder)).result == "fail"
        DataDirectory(folder).announce("http://127.0.0.1:1")
        assert only(check_telemetry_port(wanted, folder)).result == "ok"
        (folder / "instance.json").unlink()
    assert "is free" in only(check_telemetry_port(wanted, folder)).found


def test_real_money_without_anybody_to_tell_is_a_warning() -> None:
    """With play money nobody needs to be woken; half a way is a fault with any."""
    real = config(venue={"exchange": "binance"})
    webhook = {"MRMARKET_WEBHOOK_URL": "https://x", "MRMARKET_WEBHOOK_SECRET": "s"}
    assert only(check_notices(config(), {})).result == "ok"
    assert only(check_notices(real, {})).result == "warn"
    assert only(check_notices(real, webhook)).found == "by webhook"
    assert only(check_notices(config(), {"MRMARKET_WEBHOOK_URL": "https://x"})).result == "fail"
