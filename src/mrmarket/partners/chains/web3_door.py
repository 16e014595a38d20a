"""The one place that loads web3, and what of it the other modules of this room use.

Loading it raises the interpreter's recursion limit to 100,000 (by way of eth-account); a body of nested
brackets would then overflow the stack of the whole process. The limit is put back here. The library also
logs whole addresses of nodes when debugging, which often hold a key; that is turned off.
"""

from __future__ import annotations

import logging
import sys

_LIMIT = sys.getrecursionlimit()
try:
    from web3 import Account, AsyncHTTPProvider, AsyncWeb3, WebSocketProvider
    from web3.exceptions import Web3Exception
    from web3.logs import DISCARD
    from web3.types import RPCEndpoint
finally:
    sys.setrecursionlimit(_LIMIT)
logging.getLogger("web3").setLevel(logging.WARNING)

__all__ = [
    "DISCARD",
    "Account",
    "AsyncHTTPProvider",
    "AsyncWeb3",
    "RPCEndpoint",
    "Web3Exception",
    "WebSocketProvider",
]
