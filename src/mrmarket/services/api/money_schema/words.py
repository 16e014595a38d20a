"""The words that the shapes of this room are made of."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

_LINE: Final = r"^[^\x00-\x1f\x7f]*$(?!\n)"
"""One line without control characters; in Python as in JavaScript."""

Name = Annotated[str, msgspec.Meta(max_length=200, pattern=_LINE)]
"""A name, id or address that somebody sends."""
Amount = Annotated[str, msgspec.Meta(max_length=80, pattern=_LINE)]
"""A decimal number as text, never as a JSON number."""
Remark = Annotated[str, msgspec.Meta(max_length=500, pattern=_LINE)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=2**53)]

Role = Literal["visitor", "user", "admin"]
Period = Literal["day", "week", "month"]
