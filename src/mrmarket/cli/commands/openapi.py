"""`mrmarket openapi`."""

from __future__ import annotations

import sys


def openapi() -> None:
    """Print the API's OpenAPI document."""
    from mrmarket.services.api.app import openapi_text

    sys.stdout.write(openapi_text())
