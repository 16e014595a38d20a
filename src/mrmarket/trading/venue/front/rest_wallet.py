"""What a wallet shows: deposits, withdrawals, and what a key may do.

Source: https://developers.binance.com/docs/wallet/capital/deposite-history, withdraw-history and
https://developers.binance.com/docs/wallet/account/api-key-permission
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from mrmarket.core.clock import NS_PER_MS, NS_PER_S
from mrmarket.trading.venue.front import errors
from mrmarket.trading.venue.front.endpoints import Call, Endpoint, Security
from mrmarket.trading.venue.front.grid import units_text
from mrmarket.trading.venue.simulated.records import ExternalTransfer

Json = dict[str, Any]

_COIN: Final = r"^[A-Z0-9]{1,20}$"
_NETWORK: Final = "SIM"
_MAX_ROWS: Final = 1_000
_LONGEST_SPAN_MS: Final = 90 * 86_400_000
_DEPOSIT_SUCCESS: Final = 1
_WITHDRAWAL_COMPLETED: Final = 6
_UTC_TEXT: Final = "%Y-%m-%d %H:%M:%S"


def deposits(call: Call) -> list[Json]:
    """What came in from outside the exchange, newest first; each is credited when it is listed."""
    wanted = call.parameters.integer("status", _DEPOSIT_SUCCESS)
    call.parameters.boolean("includeSource")
    rows = _page(call, 1)
    if wanted != _DEPOSIT_SUCCESS:
        return []
    return [
        {
            "id": made.transfer_id,
            "amount": units_text(made.units),
            "coin": made.asset,
            "network": _NETWORK,
            "status": _DEPOSIT_SUCCESS,
            "address": f"venue:{made.account}",
            "addressTag": "",
            "txId": made.transfer_id,
            "insertTime": made.at_ns // NS_PER_MS,
            "completeTime": made.at_ns // NS_PER_MS,
            "transferType": 0,
            "confirmTimes": "1/1",
            "unlockConfirm": 1,
            "walletType": 0,
        }
        for made in rows
    ]


def withdrawals(call: Call) -> list[Json]:
    """What left, newest first. Times are UTC text in whole seconds, as there."""
    wanted = call.parameters.integer("status", _WITHDRAWAL_COMPLETED)
    rows = _page(call, -1)
    if wanted != _WITHDRAWAL_COMPLETED:
        return []
    return [
        {
            "id": made.transfer_id,
            "amount": units_text(-made.units),
            "transactionFee": units_text(0),
            "coin": made.asset,
            "status": _WITHDRAWAL_COMPLETED,
            "address": "outside",
            "txId": made.transfer_id,
            "applyTime": _utc_text(made.at_ns),
            "completeTime": _utc_text(made.at_ns),
            "network": _NETWORK,
            "transferType": 0,
            "withdrawOrderId": made.transfer_id,
            "info": "",
            "confirmNo": 1,
            "walletType": 0,
            "txKey": "",
        }
        for made in rows
    ]


def restrictions(call: Call) -> Json:
    """What the key of this call may do. The Angel's cancels although it does not trade."""
    call.parameters.finish()
    trades = call.use == "trade"
    return {
        "ipRestrict": True,
        "createTime": 0,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": trades,
        "enablePortfolioMarginTrading": False,
    }


def _page(call: Call, sign: int) -> list[ExternalTransfer]:
    parameters = call.parameters
    coin = parameters.matching("coin", _COIN)
    now_ms = call.now_ns // NS_PER_MS
    start_ms = parameters.integer("startTime", max(0, now_ms - _LONGEST_SPAN_MS))
    end_ms = parameters.integer("endTime", start_ms + _LONGEST_SPAN_MS)
    offset = parameters.integer("offset", 0)
    limit = min(parameters.limit(_MAX_ROWS, _MAX_ROWS), _MAX_ROWS)
    parameters.finish()
    if end_ms < start_ms:
        raise errors.DialectError(-1023, "Start time is greater than end time.")
    if end_ms - start_ms > _LONGEST_SPAN_MS:
        raise errors.DialectError(-1127, "More than 90 days between startTime and endTime.")
    # Withdrawals are stamped in whole seconds, so they are chosen by them too.
    start_ns = start_ms * NS_PER_MS if sign > 0 else start_ms * NS_PER_MS // NS_PER_S * NS_PER_S
    found = [
        made
        for made in _newest_first(call, start_ns)
        if made.units * sign > 0 and made.at_ns // NS_PER_MS <= end_ms and coin in ("", made.asset)
    ]
    return found[offset : offset + limit]


def _newest_first(call: Call, start_ns: int) -> Iterator[ExternalTransfer]:
    for made in reversed(call.gateway.exchange.ledger.transfers.values()):
        if made.at_ns < start_ns:
            return
        if made.account == call.account:
            yield made


def _utc_text(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime(_UTC_TEXT)


WALLET: Final = {
    ("GET", "/sapi/v1/capital/deposit/hisrec"): Endpoint(handler=deposits, security=Security.SIGNED),
    ("GET", "/sapi/v1/capital/withdraw/history"): Endpoint(handler=withdrawals, security=Security.SIGNED),
    ("GET", "/sapi/v1/account/apiRestrictions"): Endpoint(handler=restrictions, security=Security.SIGNED),
}
"""(method, path) → endpoint."""
