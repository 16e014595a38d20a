"""What rewards are worth, kept ready for those who cannot wait for a network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from mrmarket.campaigns.offer import Offer
from mrmarket.partners.hufi.estimate import Price
from mrmarket.partners.marketdata.board import PriceBoard, Token, TokenPrices
from mrmarket.partners.marketdata.settings import PriceDesk
from mrmarket.services.partners.section import Partners
from mrmarket.services.partners.setting import PartnerSetting
from mrmarket.services.partners.troubles import Troubles

_FRESHER: Final = 3
"""Prices are asked for so many times in the time after which they are stale."""
_MOST_S: Final = 60.0


def symbol_of(code: str) -> str:
    """The asset that a token is, whatever chain it lives on: `USDT-POLYGON` is USDT."""
    return code.partition("-")[0]


def tokens_by_place(partners: Partners) -> Mapping[tuple[int, str], Token]:
    """Every configured token by chain and contract."""
    return {
        (chain.chain_id, token.address): Token(symbol_of(token.code), token.decimals)
        for chain in partners.chains
        for token in chain.tokens
    }


class PriceRoom:
    """Keeps the prices of all tokens in one quote."""

    def __init__(self, setting: PartnerSetting, desk: PriceDesk, quote: str, troubles: Troubles) -> None:
        tokens = tokens_by_place(setting.partners)
        stale_s = setting.partners.prices.stale_s
        pairs = [(token.code, quote) for token in tokens.values()]
        self._board = PriceBoard(desk.prices, pairs, setting.wall, stale_s * 1_000)
        self._prices = TokenPrices(self._board, tokens)
        self._codes = sorted({token.code for token in tokens.values()})
        self._desk = desk
        self._quote = quote
        self._troubles = troubles
        self._pause_s = min(_MOST_S, stale_s / _FRESHER)

    async def refresh(self) -> None:
        """Ask once; what is refused is noted."""
        refusals = await self._board.refresh()
        for pair, error in refusals.items():
            self._troubles.note(f"price {pair[0]}", error)
        for code in self._codes:
            if (code, self._quote) not in refusals:
                self._troubles.over(f"price {code}")

    async def keep(self) -> None:
        """Ask again and again until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._pause_s)

    def price(self, offer: Offer) -> Price | None:
        """One whole reward token of an offer in our quote; None where no price can be relied on."""
        found = self._prices.priced(offer.token.address, offer.token.chain_id, self._quote)
        return None if found is None else Price(found[1].value, found[1].provider)

    async def close(self) -> None:
        """Hang up."""
        await self._desk.close()
