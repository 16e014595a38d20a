"""The `mrmarket` command: its tree, its errors and its exit status."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from mrmarket import __version__
from mrmarket.cli import commands
from mrmarket.cli.exit_codes import ExitCode, exit_code_of
from mrmarket.cli.output import print_error
from mrmarket.core.errors import MrMarketError
from mrmarket.services.keys.hardening import make_files_private

_STATUSES = ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)

app = typer.Typer(
    name="mrmarket",
    help="Open pooled market making: one engine trades the pool, everybody can prove their share.",
    epilog=f"Exit status: {_STATUSES}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"mrmarket {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options that go before any command."""


commands.register(app)


def main() -> None:
    """Run the command line; every failure is one line and a meaningful exit status."""
    make_files_private()
    arguments = sys.argv[1:]
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    as_json = "--json" in arguments
    debug = bool(arguments) and "--debug" in arguments[:2]
    try:
        result = app(arguments, standalone_mode=False)
    except typer.TyperException as refused:
        # A group without a command has shown its help; there is nothing to add.
        if words := refused.format_message().strip():
            print_error("usage", f"{words} (see mrmarket --help)", as_json=as_json)
        return ExitCode.REFUSED
    except (KeyboardInterrupt, typer.Abort):
        print_error("interrupted", "interrupted", as_json=False)
        return ExitCode.INTERRUPTED
    except MrMarketError as error:
        if debug:
            traceback.print_exc()
        print_error(error.code, str(error), as_json=as_json)
        return exit_code_of(error)
    except BrokenPipeError:
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001 - the last door: a fault of ours is one line too
        if debug:
            traceback.print_exc()
        print_error("internal", _words_for(error), as_json=as_json)
        return ExitCode.INTERNAL
    return result if isinstance(result, int) else ExitCode.OK


def _words_for(error: Exception) -> str:
    """Whose fault it is: that of the plug-in whose code raised, or was asked last, else ours."""
    from mrmarket.trading.strategy.plugins import packages_of_plugins

    offered = packages_of_plugins()
    passed = [
        str(frame.f_globals.get("__name__", "")).partition(".")[0]
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    plug_in = next((each for each in reversed(passed) if each in offered), None)
    words = f"{type(error).__name__}: {error}"
    if plug_in is None:
        return f"{words}; a fault of ours: run `mrmarket --debug …` and report it"
    return f"{words}; raised in the plug-in {plug_in}: `mrmarket --debug …` shows where, mend it there"
