"""What does not work with partners: told once, shown while it lasts."""

from __future__ import annotations

from structlog.testing import capture_logs

from mrmarket.core.clock import ManualClock
from mrmarket.partners.hufi.errors import HufiUnclearError
from mrmarket.services.partners.troubles import Troubles


def test_a_trouble_is_told_when_it_begins_and_when_it_is_over() -> None:
    """Not each time that it is met; since when it lasts is kept."""
    clock = ManualClock(5_000_000)
    troubles = Troubles(clock)
    with capture_logs() as lines:
        troubles.note("hufi", HufiUnclearError("GET /me", "no answer"))
        clock.advance(10**9)
        troubles.note("hufi", HufiUnclearError("GET /me", "another word"))
        assert "another word" in troubles.of("hufi")
        assert troubles.standing()["hufi"].since_ms == 5
        troubles.over("hufi")
        troubles.over("hufi")
    assert [line["event"] for line in lines] == ["partner.trouble", "partner.well_again"]
    assert (troubles.of("hufi"), troubles.standing()) == ("", {})


def test_another_kind_of_trouble_is_told_again() -> None:
    """A part that fails in a new way is news."""
    troubles = Troubles(ManualClock())
    with capture_logs() as lines:
        troubles.note("mixin", HufiUnclearError("GET /me", "no answer"))
        troubles.note("mixin", ZeroDivisionError("a fault of ours"))
    assert [line["code"] for line in lines] == ["hufi_unclear", "ZeroDivisionError"]
