"""`mrmarket strategy list|show|new`."""

from __future__ import annotations

import sys
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from mrmarket.cli.options import Json
from mrmarket.cli.output import notes, print_json, print_pairs, print_table

app = typer.Typer(help="See which strategies there are, and begin one of your own.", no_args_is_help=True)


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List every strategy: ours and those of plug-ins, also the ones that cannot be used, with the reason."""
    from mrmarket.trading.strategy.registry import Registry

    good, bad = Registry().everything()
    if json:
        print_json(
            {
                "strategies": [
                    {
                        "name": each.kind.name,
                        "version": each.kind.version,
                        "summary": each.kind.summary,
                        "source": each.source,
                        "templates": list(each.kind.templates),
                    }
                    for each in good
                ],
                "refused": [
                    {"name": each.name, "source": each.source, "reason": each.reason} for each in bad
                ],
            }
        )
        return
    print_table(
        ["name", "of", "what it does"], [[each.kind.name, each.source, each.kind.summary] for each in good]
    )
    for refused in bad:
        notes.print(f"[yellow]{refused.name}[/] of {refused.source} cannot be used: {refused.reason}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A strategy's name.")],
    *,
    template: Annotated[str, typer.Option("--template", help="With the parameters of this template.")] = "",
    toml: Annotated[bool, typer.Option("--toml", help="Print a `[strategy]` section to begin with.")] = False,
    json: Json = False,
) -> None:
    """Show a strategy's parameters with their defaults, its templates, and the snapshot that pins them."""
    import msgspec

    from mrmarket.trading.strategy.description import described
    from mrmarket.trading.strategy.registry import Registry

    registry = Registry()
    listed = registry.find(name)
    kind = listed.kind
    parameters = registry.parameters(name, {}, template=template)
    plain: dict[str, Any] = msgspec.to_builtins(parameters)
    snapshot = registry.snapshot(parameters)
    rows = described(kind.schema)
    if json:
        print_json(
            {
                "name": kind.name,
                "version": kind.version,
                "summary": kind.summary,
                "source": listed.source,
                "templates": {key: each.summary for key, each in kind.templates.items()},
                "parameters": plain,
                "describes": [
                    {"name": row.name, "default": row.default, "takes": row.takes, "meaning": row.meaning}
                    for row in rows
                ],
                "snapshot": snapshot.id,
            }
        )
    elif toml:
        sys.stdout.write(strategy_section(parameters, plain, {row.name: row.meaning for row in rows}))
    else:
        print_pairs(
            f"[bold]{kind.name}[/] {kind.version} of {listed.source}",
            [("", kind.summary), ("snapshot", snapshot.id)],
        )
        print_table(
            ["parameter", "value", "takes", "meaning"],
            [[row.name, _word(plain.get(row.name)), row.takes, row.meaning] for row in rows],
        )
        if kind.templates:
            print_table(["template", "for"], [[key, each.summary] for key, each in kind.templates.items()])


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and _.")],
    *,
    parent: Annotated[
        Path, typer.Option("--in", help="The folder in which its own folder is made.", metavar="DIR")
    ] = Path(),
    json: Json = False,
) -> None:
    """Write the package of a new strategy: parameters, strategy, entry point and a test that passes."""
    from mrmarket.core.errors import InvalidInputError
    from mrmarket.trading.strategy.catalogue import BUILT_IN
    from mrmarket.trading.strategy.skeleton import write_skeleton

    if name in {kind.name for kind in BUILT_IN}:
        raise InvalidInputError("name", name, "a name that none of our own strategies has")
    files = write_skeleton(name, parent)
    if json:
        print_json({"name": name, "files": [str(file) for file in files]})
        return
    for file in files:
        sys.stdout.write(f"{file}\n")
    # With the `./`: without it pip would ask the package index for a package of this name.
    folder = parent / name
    told = f"{folder}" if folder.is_absolute() else f"./{folder}"
    notes.print(
        f"Next: pip install --no-deps -e {told}, then mrmarket strategy show {name}",
        markup=False,
        soft_wrap=True,
    )


def _word(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def strategy_section(parameters: object, plain: dict[str, Any], meanings: dict[str, str]) -> str:
    """A `[strategy]` section for `run --config`; `plain` are the parameters as they are written."""
    lines = ["[strategy]"]
    for key, value in plain.items():
        if isinstance(value, list | tuple | dict):
            continue
        note = f"  # {meanings[key]}" if meanings.get(key) else ""
        # What has no default is left out, as a comment.
        lines.append(
            f"# {key} ={note}"
            if value is None
            else f"{key} = {_literal(getattr(parameters, key, value))}{note}"
        )
    return "\n".join(lines) + "\n"


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
