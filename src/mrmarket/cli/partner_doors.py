"""How commands reach partners: by the configuration, or as a folder's sandbox world has them."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrmarket.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mrmarket.campaigns.entity import Campaign
    from mrmarket.campaigns.offer import Offer
    from mrmarket.partners.hufi.estimate import Price
    from mrmarket.partners.hufi.messages import LeaderboardRow
    from mrmarket.partners.mixin.book import TransferBook
    from mrmarket.partners.mixin.keystore import Keystore
    from mrmarket.services.partners.own_trades import TimedTrade
    from mrmarket.services.partners.setting import PartnerSetting


def setting_at(data: Path, config: Path | None) -> PartnerSetting:
    """What partners are opened from, beside a running instance or without one.

    Raises:
        ConfigError: if the file is refused.
        PartnerSetupError: if the folder's sandbox world cannot be read.
    """
    from mrmarket.services.config import load_config
    from mrmarket.services.partners.setting import partner_setting

    return partner_setting(load_config(config, {}).config, data, os.environ)


@dataclass(frozen=True, slots=True)
class MixinDoorway:
    """The bot at Mixin, and what is known here of its transfers."""

    setting: PartnerSetting
    keystore: Keystore
    assets: tuple[tuple[str, str], ...]
    """Our code and Mixin's UUID of each."""
    book: Path
    """Of the transfers that an instance and these commands made."""

    @property
    def url(self) -> str:
        """Mixin's, or the sandbox's."""
        return self.setting.partners.mixin.url

    def wanted(self, asset: str | None) -> tuple[tuple[str, str], ...]:
        """Assets by code or UUID; all for None. Raises InvalidInputError for one that is neither."""
        from mrmarket.partners.mixin.ids import canonical_uuid

        if asset is None:
            return self.assets
        named = tuple(one for one in self.assets if asset in one)
        if named:
            return named
        if canonical_uuid(asset) is None:
            known = ", ".join(code for code, _ in self.assets)
            raise InvalidInputError("--asset", asset[:64], f"one of {known}, or Mixin's UUID of an asset")
        return ((asset, asset),)

    def code_of(self, asset_id: str) -> str:
        """Our code of an asset; its UUID where it has none."""
        return next((code for code, known in self.assets if known == asset_id), asset_id)

    def bound_coins(self) -> set[str]:
        """Outputs that transfers under way spend."""
        with self.look_at_book() as book:
            return book.bound_coins()

    @contextmanager
    def look_at_book(self) -> Iterator[TransferBook]:
        """A copy of the book of transfers, for somebody who changes nothing. Raises StoreError."""
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            copy = Path(folder) / "mixin.db"
            if self.book.is_file():
                _copy(self.book, copy)
            with _opened(copy) as book:
                yield book

    @contextmanager
    def open_book(self) -> Iterator[TransferBook]:
        """The book itself; an instance may have it open, too, another shell waits. Raises StoreError."""
        if not self.book.parent.is_dir():
            raise InvalidInputError("--data", str(self.book.parent), "the data folder of an instance")
        lock = os.open(self.book.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Of two shells that name one payment, the second finds what the first has done.
            fcntl.flock(lock, fcntl.LOCK_EX)
            with _opened(self.book) as book:
                yield book
        finally:
            os.close(lock)


def mixin_doorway(data: Path, config: Path | None) -> MixinDoorway:
    """The bot of a configuration, or of a folder's sandbox world.

    Raises:
        ConfigError, PartnerSetupError, KeystoreError: by what is missing.
    """
    from mrmarket.services.partners.opening import MIXIN_FILE, open_keystore

    setting = setting_at(data, config)
    keystore = open_keystore(setting)
    assets = tuple((one.code, one.asset_id) for one in setting.partners.mixin.assets)
    return MixinDoorway(setting, keystore, assets, data / MIXIN_FILE)


async def ask_leaderboard(setting: PartnerSetting, offer: Offer) -> list[LeaderboardRow]:
    """The running cycle's standing by HuFi's recording oracle, which needs no login. Raises HufiErrors."""
    from mrmarket.partners.hufi.drift import DriftReport
    from mrmarket.partners.hufi.line import HufiLine
    from mrmarket.partners.hufi.messages import Leaderboard
    from mrmarket.partners.hufi.recording_oracle import LEADERBOARD

    url = setting.partners.campaigns.oracle_url
    async with HufiLine(url, DriftReport(setting.wall), setting.wall) as line:
        name = f"{offer.chain_id}-{offer.address}"
        found = await line.ask(LEADERBOARD, Leaderboard, names={"campaign": name})
    return found.data


async def ask_price(setting: PartnerSetting, offer: Offer) -> Price:
    """Of one whole reward token in the market's quote asset.

    Raises:
        PriceError, InvalidInputError: if nobody tells it, with the reason.
    """
    from mrmarket.partners.hufi.estimate import Price
    from mrmarket.services.partners.opening import open_prices

    token = setting.partners.token(offer.token.chain_id, offer.token.address)
    if token is None:
        name = f"{offer.token.chain_id}:{offer.token.address}"
        raise InvalidInputError("token", name, "a token of [[chains]], or --price")
    quote = offer.market.partition("/")[2] or offer.market  # a balance is valued in what is held
    desk = open_prices(setting)
    try:
        told = await desk.prices.price(token.code, quote)
    finally:
        await desk.close()
    return Price(told.value, told.provider)


def own_trades(
    setting: PartnerSetting, store: str, campaign: Campaign, since_ms: int, until_ms: int
) -> list[TimedTrade]:
    """Our own trades on a campaign's market and account, between two world times.

    Raises:
        StoreError: if the event log cannot be read.
    """
    from mrmarket.services.engine.section import MAIN_ACCOUNT
    from mrmarket.services.partners.own_trades import OwnTradeReader
    from mrmarket.services.store_address import StoreAddress
    from mrmarket.services.trading_place import SIMULATED

    address = StoreAddress(setting.folder, store)
    if not address.is_postgres and not (setting.folder / "trading.db").is_file():
        return []
    offer = campaign.offer
    exchange = SIMULATED if setting.is_sandbox else offer.exchange
    place = (exchange, campaign.account or MAIN_ACCOUNT, offer.market)
    operations, log = address.open_operations(), address.open_trading()
    try:
        streams = [one.id for one in operations.run_specs() if (one.venue, one.account, one.pair) == place]
        reader = OwnTradeReader(log, setting.world_ns)
        return reader.read_all(streams, offer.market, since_ms, until_ms)
    finally:
        log.close()
        operations.close()


@contextmanager
def _opened(path: Path) -> Iterator[TransferBook]:
    from mrmarket.partners.mixin.book import TransferBook

    book = TransferBook(path)
    try:
        yield book
    finally:
        book.close()


def _copy(source: Path, target: Path) -> None:
    from mrmarket.store.sqlite import connect, is_at_rest, store_error

    held = connect(source, read_only=True, at_rest=is_at_rest(source))
    try:
        copy = sqlite3.connect(target)
        try:
            held.backup(copy)
        finally:
            copy.close()
    except sqlite3.Error as error:
        raise store_error(source, error) from error
    finally:
        held.close()
