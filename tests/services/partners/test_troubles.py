"""What does not work with partners: told once, shown while it lasts."""

from __future__ import annotations

from structlog.testing import capture_logs

from mrmarket.campaigns.ports import OfferList, OfferRefused
from mrmarket.core.clock import ManualClock
from mrmarket.partners.hufi.errors import HufiUnclearError
from mrmarket.services.partners.hufi_room import NotedOffers
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


class Told:
    """`Offers` out of a list."""

    def __init__(self) -> None:
        self.refused = [OfferRefused("1-0xaa", "status", "its status 'dreaming' is none that we know")]

    async def list(self) -> OfferList:
        """Nothing but what cannot be taken."""
        return OfferList([], self.refused)


async def test_an_offer_that_is_none_is_shown_until_it_is_gone() -> None:
    """It is left alone, and nothing else is kept waiting."""
    troubles, told = Troubles(ManualClock()), Told()
    offers = NotedOffers(told, troubles)
    assert (await offers.list()).refused == told.refused
    [trouble] = troubles.standing().values()
    assert (trouble.code, trouble.part) == ("partner_offer_strange", "hufi offer 1-0xaa")
    assert "dreaming" in trouble.reason
    told.refused = []
    await offers.list()
    assert troubles.standing() == {}
