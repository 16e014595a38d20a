"""The venues of an instance whose engine is in its own process."""

from __future__ import annotations

from collections.abc import Sequence

from mrmarket.services.config_sections import Config
from mrmarket.services.data_directory import DataDirectory
from mrmarket.services.engine.section import MAIN_ACCOUNT
from mrmarket.services.engine.specs import pairs_of
from mrmarket.services.engine.venue_room import LoneRoom, VenueRoom
from mrmarket.services.keys.secret import Register
from mrmarket.services.trading_place import TradingPlace, open_account
from mrmarket.store.operations import RunSpec
from mrmarket.trading.venue.port import Venue


def place_room(
    config: Config,
    directory: DataDirectory,
    place: TradingPlace,
    specs: Sequence[RunSpec],
    know: Register,
    *,
    shared: bool = False,
) -> LoneRoom | VenueRoom:
    """Where runs get their venues: a single run has the instance's venue to itself.

    Args:
        config: the instance's.
        directory: where keys are.
        place: where the main run trades; its venue is open and stays so.
        specs: every run.
        know: told every secret.
        shared: whether others than runs follow its feed, too.
    """
    if len(specs) == 1 and not shared:
        return LoneRoom(place.venue)

    async def opener(_: str, account: str) -> Venue:
        pairs = {pair for spec in specs if spec.account == account for pair in pairs_of(spec)}
        return await open_account(config, directory, account, pairs, know, place.endpoints)

    room = VenueRoom(opener)
    room.keep(place.venue.name, MAIN_ACCOUNT, place.venue)
    return room
