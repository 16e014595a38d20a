"""What handlers take from a request, worded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

from litestar import Request
from litestar.di import NamedDependency
from litestar.exceptions import SerializationException
from litestar.params import PathParameter, QueryParameter, SkipValidation
from litestar.serialization import decode_json

from mrmarket.core.errors import InvalidInputError
from mrmarket.services.access.access import Access
from mrmarket.services.access.identity import Identity
from mrmarket.services.api.face import InstanceFace
from mrmarket.services.api.money_face import MoneyFace
from mrmarket.services.api.money_schema import Period
from mrmarket.services.api.operations_face import OperationsFace

_LATEST: Final = 2**53
_MOST_BRACKETS: Final = 200
_LINE: Final = r"^[^\x00-\x1f\x7f]*$(?!\n)"

END_OF_TIME_MS: Final = 253_402_300_800_000
"""The year 10000: an `end_ms` that nobody gave."""


@dataclass(frozen=True, slots=True)
class OwnMoney:
    """The business core, and who asks it: one dependency, because two would be two tasks a request."""

    face: MoneyFace
    user: str
    """The signed-in user's account name, from the session and from nowhere else."""


# Not validated a second time: a protocol with sixty methods is slow to check on every request.
Face = NamedDependency[SkipValidation[InstanceFace]]
Money = NamedDependency[SkipValidation[MoneyFace]]
Door = NamedDependency[SkipValidation[Access]]
Mine = NamedDependency[SkipValidation[OwnMoney]]
OperationsHere = NamedDependency[SkipValidation[OperationsFace | None]]
"""None where nothing is known of trading."""

Asked: TypeAlias = Request[Identity, str | None, Any]

Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
PointLimit = Annotated[int, QueryParameter(ge=1, le=5000)]
BeforeMs = Annotated[int | None, QueryParameter(ge=0, le=_LATEST)]
BeforeSeq = Annotated[int | None, QueryParameter(ge=0, le=_LATEST)]
StartMs = Annotated[int, QueryParameter(ge=0, le=_LATEST)]
EndMs = Annotated[int, QueryParameter(ge=0, le=_LATEST)]
Filter = Annotated[str | None, QueryParameter(max_length=200, pattern=_LINE)]
Word = Annotated[str, QueryParameter(max_length=200, pattern=_LINE)]
PeriodChoice = Annotated[Period, QueryParameter()]
Id = Annotated[str, PathParameter(max_length=200, pattern=_LINE)]
Seq = Annotated[int, PathParameter(ge=0, le=_LATEST)]


class StrictRequest(Request[Identity, str | None, Any]):
    """Reads a JSON body as the handler's own type, without turning `"1"` into 1 or `"true"` into true."""

    async def json(self) -> Any:
        """The body.

        Raises:
            SerializationException: not JSON, or not of the type; nothing was done.
        """
        wanted = self.route_handler.parsed_data_field
        if wanted is None:
            return await super().json()
        if not (body := await self.body()):
            raise SerializationException("the body is missing; send a JSON object")
        # Deeper than any body of ours; how deep the decoder may go depends on what was imported meanwhile.
        if body.count(b"[") + body.count(b"{") > _MOST_BRACKETS:
            raise SerializationException("the body is nested too deeply; send a plain JSON object")
        try:
            return decode_json(body, target_type=wanted.annotation, strict=True)
        except (UnicodeDecodeError, RecursionError) as error:
            raise SerializationException("the body is no JSON text; send it as UTF-8") from error


def require_span(start_ms: int, end_ms: int) -> None:
    """Refuse a span that ends before it starts. Raises InvalidInputError."""
    if end_ms < start_ms:
        raise InvalidInputError("end_ms", end_ms, "a moment that is not before start_ms")
