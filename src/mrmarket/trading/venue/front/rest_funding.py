"""Money into and out of accounts from outside the exchange, as its treasury would book it.

No real exchange has these calls: there, chains and custodians stand behind deposits and withdrawals.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from mrmarket.core.clock import NS_PER_MS
from mrmarket.trading.venue.front import errors
from mrmarket.trading.venue.front.endpoints import Call, Endpoint, Security
from mrmarket.trading.venue.front.grid import units_text
from mrmarket.trading.venue.simulated.records import ExternalTransfer

Json = dict[str, Any]

_ID: Final = r"^[a-zA-Z0-9:_-]{1,80}$"
_ASSET: Final = r"^[A-Z0-9]{1,20}$"
_ACCOUNT: Final = r"^[a-zA-Z0-9_.-]{1,40}$"


def credit(call: Call) -> Json:
    """Let `amount` of `asset` into `account`, free at once. `transferId` has one effect, however often."""
    return _transfer(call, 1)


def debit(call: Call) -> Json:
    """Take `amount` out of what `account` has free; -2010 if that is too little."""
    return _transfer(call, -1)


def find(call: Call) -> Json:
    """The transfer of a `transferId`; -9003 if it was never made."""
    transfer_id = _mandatory(call, "transferId", _ID)
    call.parameters.finish()
    return _answer(call.gateway.find_transfer(transfer_id))


def _transfer(call: Call, sign: int) -> Json:
    transfer_id = _mandatory(call, "transferId", _ID)
    account = _mandatory(call, "account", _ACCOUNT)
    asset = _mandatory(call, "asset", _ASSET)
    units = call.parameters.amount("amount")
    call.parameters.finish()
    if not units:
        raise errors.missing_parameter("amount") if units is None else errors.invalid_data("amount")
    return _answer(call.gateway.transfer(transfer_id, account, asset, sign * units))


def _mandatory(call: Call, name: str, pattern: str) -> str:
    value = call.parameters.matching(name, pattern)
    if not value:
        raise errors.missing_parameter(name)
    return value


def _answer(made: ExternalTransfer) -> Json:
    return {
        "transferId": made.transfer_id,
        "account": made.account,
        "asset": made.asset,
        "amount": units_text(made.units),
        "time": made.at_ns // NS_PER_MS,
    }


FUNDING: Final = MappingProxyType(
    {
        ("POST", "/sim/v1/credit"): Endpoint(handler=credit, security=Security.FUNDING),
        ("POST", "/sim/v1/debit"): Endpoint(handler=debit, security=Security.FUNDING),
        ("GET", "/sim/v1/transfer"): Endpoint(handler=find, security=Security.FUNDING),
    }
)
"""(method, path) → endpoint; the token goes into `X-MBX-APIKEY`."""
