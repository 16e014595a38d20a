"""Links that a Mixin wallet opens."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

from mrmarket.partners.mixin.address import receiver
from mrmarket.partners.mixin.errors import AddressError
from mrmarket.partners.mixin.transaction import format_amount

SITE: Final = "https://mixin.one"


def payment_url(
    destination: str,
    *,
    asset: str = "",
    units: int = 0,
    memo: str = "",
    trace: str = "",
    return_to: str = "",
) -> str:
    """A link that pays a UUID, an XIN or a MIX address; what is left out, the payer chooses.

    Every value is percent-encoded; the official SDK leaves that to its caller. Raises AddressError.
    """
    if receiver(destination) is None:
        raise AddressError("payment address", f"{destination[:64]!r}")
    fields = {
        "asset": asset,
        "amount": format_amount(units) if units else "",
        "memo": memo,
        "trace": trace,
        "return_to": return_to,
    }
    query = urlencode({name: value for name, value in fields.items() if value}, quote_via=quote)
    return f"{SITE}/pay/{destination}" + (f"?{query}" if query else "")


def invoice_url(invoice: str) -> str:
    """A link that pays an invoice."""
    return f"{SITE}/pay/{invoice}"
