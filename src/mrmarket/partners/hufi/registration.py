"""Giving HuFi an exchange key: only one that can read, and only as much as the exchange's form allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from mrmarket.partners.hufi.drift import DriftKind, DriftReport
from mrmarket.partners.hufi.errors import KeyPermissionError, KeyRefusedError
from mrmarket.partners.hufi.manifest import DEXES
from mrmarket.partners.hufi.messages import KeyBody, KeyCheck
from mrmarket.partners.hufi.recording_oracle import CHECK_KEY, RecordingOracleClient

PERMISSIONS: Final = frozenset({"VIEW_SPOT_TRADING_HISTORY", "VIEW_ACCOUNT_BALANCE", "VIEW_DEPOSIT_ADDRESS"})
"""All that HuFi has ever asked for."""

EXCHANGES: Final = frozenset({"bigone", "bitmart", "bybit", "gate", "htx", "kraken", "kucoin", "mexc", "xt"})
"""Exchanges that HuFi takes keys for."""

_EXTRAS: Final = MappingProxyType({"bitmart": "api_key_memo", "kucoin": "passphrase"})
_FORMS: Final = MappingProxyType(
    {"bitmart": re.compile(r".{1,32}", re.DOTALL), "kucoin": re.compile(r"\S{7,32}")}
)
_MAX_KEY: Final = 200
_MAX_SECRET: Final = 5_000


class Reach(Protocol):
    """What a key can do, as the exchange itself says."""

    @property
    def can_withdraw(self) -> bool | None:
        """None where the exchange does not say."""
        ...

    @property
    def can_trade(self) -> bool | None:
        """None where the exchange does not say."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class ExchangeKey:
    """A key that is to be given to HuFi; never the one that we trade with."""

    exchange: str
    api_key: str
    secret_key: str
    extra: str = ""
    """Memo of bitmart, passphrase of kucoin; else empty."""

    def __repr__(self) -> str:
        return f"ExchangeKey({self.exchange!r}, …)"


class KeyRegistration:
    """Checks a key, gives it to HuFi, and lets HuFi try it."""

    def __init__(self, oracle: RecordingOracleClient, drift: DriftReport) -> None:
        self._oracle = oracle
        self._drift = drift

    async def register(self, key: ExchangeKey, reach: Reach) -> KeyCheck:
        """Give a key away, if it can do nothing but look.

        `reach` is what the exchange says of the key. Where it does not say whether a key can withdraw, that
        counts as a yes.

        Raises:
            KeyRefusedError: nothing was sent anywhere.
            KeyPermissionError: HuFi has the key and cannot use it.
            HufiError: as of any question.
        """
        body = key_body(key, reach)
        await self._oracle.put_key(body)
        return await self.check(key.exchange)

    async def check(self, exchange: str) -> KeyCheck:
        """Let HuFi try the key that it has. Raises `KeyPermissionError` if it cannot use it."""
        told = await self._oracle.check_key(exchange)
        for permission in told.missing_permissions:
            if permission not in PERMISSIONS:
                self._drift.note(DriftKind.NEW_PERMISSION, str(CHECK_KEY), permission)
        if not told.is_valid or told.missing_permissions:
            raise KeyPermissionError(exchange, tuple(told.missing_permissions))
        return told


def key_body(key: ExchangeKey, reach: Reach) -> KeyBody:
    """What is sent for a key. Raises `KeyRefusedError` for one that is not to be sent."""
    exchange = key.exchange
    if exchange in DEXES:
        raise KeyRefusedError(exchange, "it has none; the wallet's own address stands for it there")
    if exchange not in EXCHANGES:
        raise KeyRefusedError(exchange, f"HuFi takes keys of {', '.join(sorted(EXCHANGES))} only")
    if reach.can_withdraw is None:
        raise KeyRefusedError(exchange, "the exchange does not say whether it can withdraw")
    if reach.can_withdraw or reach.can_trade:
        raise KeyRefusedError(exchange, f"it can {'withdraw' if reach.can_withdraw else 'trade'}")
    if not 0 < len(key.api_key) <= _MAX_KEY or not 0 < len(key.secret_key) <= _MAX_SECRET:
        raise KeyRefusedError(exchange, f"it has no key of 1 to {_MAX_KEY} characters and a secret")
    name = _EXTRAS.get(exchange)
    if name is None:
        if key.extra:
            raise KeyRefusedError(exchange, "nothing but a key and a secret belongs to it there")
        return KeyBody(exchange, key.api_key, key.secret_key)
    if not _FORMS[exchange].fullmatch(key.extra):
        raise KeyRefusedError(exchange, f"its {name} is missing or has another form")
    return KeyBody(exchange, key.api_key, key.secret_key, {name: key.extra})
