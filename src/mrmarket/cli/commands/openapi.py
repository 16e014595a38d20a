"""`mrmarket openapi`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def openapi(*, json: Annotated[bool, typer.Option("--json", help="Print it on one line.")] = False) -> None:
    """Print the API's OpenAPI document, which is JSON in any case."""
    import msgspec

    from mrmarket.cli.output import print_json
    from mrmarket.services.api.app import openapi_text

    if json:
        print_json(msgspec.Raw(msgspec.json.format(openapi_text(), indent=0).encode()))
    else:
        sys.stdout.write(openapi_text())
