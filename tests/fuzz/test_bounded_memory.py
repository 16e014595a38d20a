"""Inputs of a few bytes whose naive reading would take gigabytes, read with 256 MiB to spare."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROBE = """
import resource, sys
from decimal import Decimal
from pathlib import Path
from mrmarket.core.decimals import parse_units
from mrmarket.core.instrument import Instrument
from mrmarket.money.loyalty.prices import PriceBook
from mrmarket.services.config import load_config
from mrmarket.trading.market.binance import FrameParser
from mrmarket.trading.venue.ccxt_adapter.dialects.generic import Dialect
from mrmarket.trading.venue.ccxt_adapter.reports import ReportReader
from mrmarket.trading.venue.front.parameters import Parameters
from mrmarket.core.errors import MrMarketError

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 256 * 1024**2,) * 2)
grid = Instrument("x", "BTC/USDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"))
reader = ReportReader("x", Dialect(), {"BTC/USDT": grid}.get)
huge = "1E+999999999"
order = {"symbol": "BTC/USDT", "id": "1", "side": "buy", "status": "open"}
order |= {"amount": huge, "price": huge, "filled": huge}
file = Path(sys.argv[1])


def price_file(_):
    file.write_text('{"x": [[1, ' + huge + "]]}")
    return PriceBook.read(file)


def config_file(_):
    file.write_text("[simulation]\\nmaker_fee = " + huge + "\\n")
    return load_config(file, {}).view()


frame = b'{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"%s","q":"%s","T":1,"m":true}' % ((huge.encode(),) * 2)
refused = 0
for read, given in [
    (reader.balances, {"BTC": {"free": huge, "used": "0", "total": huge}}),
    (reader.order, order),
    (lambda text: parse_units(text, 18), huge),
    (lambda text: FrameParser(grid).parse(text, 1), frame),
    (price_file, None),
    (config_file, None),
]:
    try:
        read(given)
    except MrMarketError:
        refused += 1
try:
    Parameters({"price": huge}).amount("price")
except Exception as error:
    refused += type(error).__name__ == "DialectError"
print(refused)
"""


def test_exponents_of_a_billion_are_refused_without_writing_them_out(tmp_path: Path) -> None:
    """By every reader of numbers from outside."""
    ran = subprocess.run(
        [sys.executable, "-c", _PROBE, str(tmp_path / "file")], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "7"), ran.stderr[-2000:]
