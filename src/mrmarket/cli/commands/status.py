"""`mrmarket status`."""

from __future__ import annotations

from typing import Annotated

import typer

from mrmarket.cli.options import DEFAULT_DATA, Data, Json
from mrmarket.cli.output import print_json, print_pairs


def status(
    *,
    data: Data = DEFAULT_DATA,
    url: Annotated[
        str | None, typer.Option("--url", help="Ask this instance instead of the one on --data.")
    ] = None,
    json: Json = False,
) -> None:
    """Show how the running instance is doing."""
    from mrmarket.services.remote import RemoteInstance

    instance = RemoteInstance(url) if url else RemoteInstance.of(data)
    now, done, pool = instance.status(), instance.performance(), instance.pool()
    if json:
        print_json({"instance": now, "performance": done, "pool": pool, "url": instance.url})
        return
    print_pairs(
        f"[bold]{now.name}[/] is {now.state}  {instance.url}",
        [
            ("reason", now.state_reason),
            ("market", f"{now.symbol} on {now.venue} ({now.market}, ×{now.speed:g})"),
            ("book age", "no book yet" if now.book_age_ms is None else f"{now.book_age_ms} ms"),
            ("open orders", str(now.open_orders)),
            ("fills", f"{done.fills} ({done.maker_fills} maker)"),
            ("volume", f"{done.volume_quote} {pool.quote}"),
            ("profit or loss", f"{done.pnl_quote} {pool.quote}"),
            ("pool", f"{pool.nav} {pool.quote}, {pool.nav_per_share} a share"),
            (
                "ledger",
                {None: "not checked yet", True: "verified", False: "DOES NOT VERIFY"}[now.ledger_verified],
            ),
        ],
    )
