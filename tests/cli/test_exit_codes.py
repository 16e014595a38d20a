"""The exit status of an error is what a person would do about it."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mrmarket.cli import app as door
from mrmarket.cli.exit_codes import ExitCode, exit_code_of
from mrmarket.core.errors import MrMarketError
from mrmarket.services.supervisor import OrdersLeftError
from mrmarket.services.venue_process import VenueProcessError
from mrmarket.store.errors import DatabaseFullError, DatabaseMissingError, StaleFenceError
from mrmarket.trading.strategy import plugins


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (VenueProcessError("it refused the tape", 2), ExitCode.REFUSED),
        (VenueProcessError("its disk is full", 4), ExitCode.DATA),
        (VenueProcessError("it was told to end", 0), ExitCode.UNAVAILABLE),
        (VenueProcessError("it was killed", -9), ExitCode.UNAVAILABLE),
        (VenueProcessError("it never got ready", None), ExitCode.UNAVAILABLE),
        (OrdersLeftError("binance", ["mm-1"]), ExitCode.UNAVAILABLE),
        (DatabaseFullError(Path("trading.db")), ExitCode.DATA),
        (StaleFenceError(Path("trading.db"), "run", 1), ExitCode.DATA),
        (DatabaseMissingError(Path("money.db")), ExitCode.REFUSED),
    ],
)
def test_every_trouble_has_its_status(error: MrMarketError, status: ExitCode) -> None:
    """An embedded exchange passes its own status on, but its good end is no success of ours."""
    assert exit_code_of(error) is status


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("their_maker.strategy", "raised in the plug-in their_maker"),
        ("mrmarket.somewhere", "a fault of ours"),
    ],
)
def test_whose_fault_it_is_is_told(
    module: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever wrote the plug-in that raised need not report it to us."""

    def fails(*_: object, **__: object) -> None:
        exec("1 / 0", {"__name__": module})  # noqa: S102 - code of another module

    monkeypatch.setattr(door, "app", fails)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("m", "their_maker:KIND", group)])
    assert door.run(["doctor"]) == ExitCode.INTERNAL
    assert f"ZeroDivisionError: division by zero; {words}" in capsys.readouterr().err
