"""Calls that no real exchange has: the tape's clock, faults, and Binance futures' dead man's switch."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final

import msgspec

from mrmarket.core.errors import MrMarketError
from mrmarket.trading.venue.front import errors
from mrmarket.trading.venue.front.dead_man import DeadManSwitch
from mrmarket.trading.venue.front.endpoints import Call, Endpoint, Security
from mrmarket.trading.venue.front.faults import FaultConfig, FaultReport

Json = dict[str, Any]

_MAX_COUNTDOWN_MS: Final = 86_400_000

DEAD_MAN_PATH: Final = "/sim/v1/cancelAllOrdersAfter"


def simulation_routes(
    clock: Callable[[], Any], dead_man: DeadManSwitch, armed: Callable[[], None]
) -> dict[tuple[str, str], Endpoint]:
    """The routes under `/sim/v1`.

    Args:
        clock: tells where the tape stands.
        dead_man: the switch.
        armed: called after a deadline was set or taken away, so that it is kept and watched.
    """

    def tape_clock(call: Call) -> Any:
        call.parameters.finish()
        return clock()

    def cancel_all_after(call: Call) -> Json:
        """Cancel every open order of a pair unless called again within `countdownTime` milliseconds.

        0 takes the countdown away. Named and shaped after Binance futures' `countdownCancelAll`.
        """
        grid = call.gateway.grid(call.parameters.symbol())
        countdown_ms = call.parameters.integer("countdownTime", -1, high=_MAX_COUNTDOWN_MS)
        call.parameters.finish()
        if countdown_ms < 0:
            raise errors.missing_parameter("countdownTime")
        dead_man.arm(call.account, grid.instrument.symbol, countdown_ms, call.gateway.now_ns())
        armed()
        return {"symbol": grid.name, "countdownTime": str(countdown_ms)}

    return {
        ("GET", "/sim/v1/clock"): Endpoint(handler=tape_clock),
        ("GET", "/sim/v1/faults"): Endpoint(handler=show_faults),
        ("POST", "/sim/v1/faults"): Endpoint(handler=set_faults),
        ("POST", DEAD_MAN_PATH): Endpoint(handler=cancel_all_after, security=Security.SIGNED),
    }


def show_faults(call: Call) -> FaultReport:
    """The rules in force, and how often each has struck."""
    _only_from_here(call)
    call.parameters.finish()
    return call.gateway.faults.report()


def set_faults(call: Call) -> FaultConfig:
    """Replace the rules by the JSON body; `{}` takes all faults away. Only from this machine."""
    _only_from_here(call)
    text = call.parameters.raw("body") or "{}"
    call.parameters.finish()
    try:
        config = msgspec.json.decode(text, type=FaultConfig)
    except (msgspec.MsgspecError, MrMarketError, RecursionError, UnicodeDecodeError) as broken:
        raise errors.DialectError(-1130, f"Data sent for parameter 'body' is not valid: {broken}") from broken
    call.gateway.faults.reset(config, call.gateway.now_ns())
    return config


def _only_from_here(call: Call) -> None:
    try:
        local = ip_address(call.address).is_loopback
    except ValueError:
        local = False
    if not local:
        raise errors.DialectError(-1011, "This IP cannot access this route.", status=HTTPStatus.FORBIDDEN)
