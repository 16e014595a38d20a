"""One file a command; heavy imports happen inside the command that needs them."""

from __future__ import annotations

import typer

from mrmarket.cli.commands import (
    address,
    admin,
    angel,
    backtest,
    campaign,
    config,
    doctor,
    halt,
    keys,
    ledger,
    loyalty,
    mixin,
    notify,
    openapi,
    optimise,
    pool,
    rail,
    reconcile,
    record,
    rewards,
    run,
    sandbox,
    selection,
    simulate,
    status,
    strategy,
    tape,
    user,
    vault,
    venue,
)


def register(app: typer.Typer) -> None:
    """Hang every command into the tree, grouped as `--help` shows them."""
    running, checking, data = "Run", "Look and check", "Market data"
    app.command("run", rich_help_panel=running)(run.run)
    app.command("venue", rich_help_panel=running)(venue.venue)
    app.command("rail", rich_help_panel=running)(rail.rail)
    app.command("sandbox", rich_help_panel=running)(sandbox.sandbox)
    app.add_typer(address.app, name="address", rich_help_panel=running)
    app.add_typer(admin.app, name="admin", rich_help_panel=running)
    app.add_typer(angel.app, name="angel", rich_help_panel=running)
    app.add_typer(keys.app, name="keys", rich_help_panel=running)
    app.command("halt", rich_help_panel=running)(halt.halt)
    app.command("status", rich_help_panel=checking)(status.status)
    app.command("doctor", rich_help_panel=checking)(doctor.doctor)
    app.add_typer(notify.app, name="notify", rich_help_panel=checking)
    app.add_typer(ledger.app, name="ledger", rich_help_panel=checking)
    app.add_typer(pool.app, name="pool", rich_help_panel=running)
    app.add_typer(campaign.app, name="campaign", rich_help_panel=checking)
    app.add_typer(vault.app, name="vault", rich_help_panel=checking)
    app.add_typer(mixin.app, name="mixin", rich_help_panel=checking)
    app.add_typer(rewards.app, name="rewards", rich_help_panel=checking)
    app.add_typer(user.app, name="user", rich_help_panel=checking)
    app.command("reconcile", rich_help_panel=checking)(reconcile.reconcile)
    app.add_typer(loyalty.app, name="loyalty", rich_help_panel=checking)
    app.add_typer(config.app, name="config", rich_help_panel=checking)
    app.add_typer(strategy.app, name="strategy", rich_help_panel=running)
    app.add_typer(selection.app, name="selection", rich_help_panel=checking)
    app.command("simulate", rich_help_panel=checking)(simulate.simulate)
    app.command("openapi", rich_help_panel=checking)(openapi.openapi)
    app.command("record", rich_help_panel=data)(record.record)
    app.add_typer(tape.app, name="tape", rich_help_panel=data)
    app.add_typer(backtest.app, name="backtest", rich_help_panel=data)
    app.add_typer(optimise.app, name="optimise", rich_help_panel=data)
