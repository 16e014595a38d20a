"""`mrmarket status`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import notes, print_json, print_pairs

_WATCH_S = 2.0
_SILENT_MS = 5_000
_ID_LENGTH = 36


def status(
    *,
    data: Data = DEFAULT_DATA,
    url: Annotated[
        str | None, typer.Option("--url", help="Ask this instance instead of the one on --data.")
    ] = None,
    store: Store = IN_FOLDER,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every 2 s until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show how the instance is doing, who holds its runs, what is restricted, and what the Angel did."""
    while True:
        _show(Path(data), url, store, as_json=json)
        if not watch:
            return
        try:
            time.sleep(_WATCH_S)
        except KeyboardInterrupt:
            return


def _show(data: Path, url: str | None, store: str, *, as_json: bool) -> None:
    from mrmarket.services.data_directory import NotRunningError
    from mrmarket.services.remote import RemoteInstance

    try:
        instance = RemoteInstance(url) if url else RemoteInstance.of(data)
        now, done, pool = instance.status(), instance.performance(), instance.pool()
    except NotRunningError:
        if not store or url:
            raise
        # Engines elsewhere go on without an API here.
        overview = _overview(data, store)
        if as_json:
            print_json({"instance": None, "engines": overview})
            return
        notes.print("no API answers here; this is what the databases say")
        _print_overview(overview)
        return
    # A look creates nothing: where no books are in the folder, they are elsewhere.
    here = bool(store) or (data / "control.db").is_file()
    overview = _overview(data, store) if here and not url else None
    if as_json:
        answer = {"instance": now, "performance": done, "pool": pool, "url": instance.url}
        print_json({**answer, "engines": overview})
        return
    print_pairs(
        f"[bold]{now.name}[/] is {now.state}  {instance.url}",
        [
            ("reason", now.state_reason),
            ("strategy", now.strategy),
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
    if overview is not None:
        _print_overview(overview)
    elif not url:
        notes.print("its books are in PostgreSQL; give --store to see engines, restrictions and the Angel")


def _overview(data: Path, store: str) -> Any:
    from mrmarket.core.clock import SystemClock
    from mrmarket.services.engine.overview import read_overview
    from mrmarket.services.store_address import StoreAddress

    address = StoreAddress(data, store)
    operations = address.open_operations()
    try:
        log = address.open_trading()
        try:
            return read_overview(operations, log, SystemClock().now_ns())
        finally:
            log.close()
    finally:
        operations.close()


def _print_overview(overview: Any) -> None:
    print_pairs(
        "[bold]Processes[/]",
        [
            (
                f"{node.role} {_short(node.node)}",
                f"{node.host or '?'}:{node.pid}, {node.runs} runs, "
                + (f"SILENT for {node.age_ms // 1000} s" if node.age_ms > _SILENT_MS else "alive"),
            )
            for node in overview.nodes
        ]
        or [("none", "nobody has beaten")],
    )
    print_pairs(
        "[bold]Runs[/]",
        [
            (
                run.run,
                f"{run.pair} on {run.venue} ({run.account}), "
                + (
                    f"{run.state or 'held'} at {_short(run.holder)}, fence {run.fence}"
                    if run.holder
                    else "HELD BY NOBODY"
                )
                + ("" if run.desired == "running" else f", wanted {run.desired}"),
            )
            for run in overview.runs
        ],
    )
    if overview.restrictions:
        print_pairs(
            "[bold]Restrictions[/]",
            [
                (f"{each.scope} {each.cause}", f"{each.state}: {each.detail}")
                for each in overview.restrictions
            ],
        )
    if overview.findings:
        print_pairs(
            "[bold]Differences from the venue[/]",
            [
                (f"{each.run} {each.kind}", f"{each.subject}: we know {each.ours}, it says {each.theirs}")
                for each in overview.findings
            ],
        )
    if overview.angel:
        print_pairs(
            "[bold]The Angel, newest first[/]",
            [(each.action, f"{each.target} {each.detail}".strip()) for each in overview.angel],
        )


def _short(node: str) -> str:
    """The part of an engine's id that tells it from others; an Angel's name whole."""
    return node[-12:] if len(node) == _ID_LENGTH else node
