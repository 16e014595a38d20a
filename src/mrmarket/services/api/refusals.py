"""Why the API refuses a request, before or instead of asking the cores."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class SignInNeededError(MrMarketError):
    """Nobody is signed in."""

    code = "sign_in_needed"

    def __init__(self) -> None:
        super().__init__("sign in first")


class ForbiddenError(MrMarketError):
    """Signed in, as somebody who may not."""

    code = "forbidden"

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        super().__init__(f"only {wanted} may do this; sign in as such")


class CsrfRefusedError(MrMarketError):
    """A change without the session's CSRF token."""

    code = "csrf_refused"

    def __init__(self) -> None:
        super().__init__("send the session's csrf token as X-CSRF-Token; GET /api/v1/auth/session tells it")


class NotFoundError(MrMarketError):
    """There is no such thing, or it is somebody else's; the two look alike on purpose."""

    code = "not_found"

    def __init__(self, kind: str, wanted: str) -> None:
        self.kind = kind
        self.wanted = wanted
        super().__init__(f"there is no {kind} {wanted!r}; look it up in the list")


class MoneyNotReadyError(MrMarketError):
    """The business core is not there, or not yet."""

    code = "money_not_ready"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the books are not open yet; try again in a moment")


class MediaTypeRefusedError(MrMarketError):
    """A body that is not JSON."""

    code = "media_type_refused"

    def __init__(self) -> None:
        super().__init__("send the body as application/json")


class OperationsNotReadyError(MrMarketError):
    """Nothing is known of trading here, or not yet."""

    code = "operations_not_ready"
    retryable = True

    def __init__(self) -> None:
        super().__init__("trading is not being run from here yet; try again in a moment")


class SelectionOffError(MrMarketError):
    """No strategies take turns here."""

    code = "selection_off"

    def __init__(self) -> None:
        super().__init__("no strategies take turns here; name candidates in [selection] and start again")


class PartnersNotReadyError(MrMarketError):
    """Nothing is known of campaigns and partners here, or not yet."""

    code = "partners_not_ready"
    retryable = True

    def __init__(self) -> None:
        super().__init__("campaigns and partners are not looked after from here yet; try again in a moment")


class PartnersOffError(MrMarketError):
    """What was asked needs a partner that is not configured."""

    code = "partners_off"

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        super().__init__(f"there is no {wanted} here; configure [campaigns] and [[chains]], and start again")


class DatabaseAwayError(MrMarketError):
    """What was asked goes through the database, and that does not answer."""

    code = "database_away"
    retryable = True

    def __init__(self, asked: str, why: str) -> None:
        self.asked = asked
        self.why = why
        super().__init__(
            f"{asked} was not passed on: {why}; the kill switch works without (mrmarket halt on each engine)"
        )


class KeyReusedError(MrMarketError):
    """The same key stands for something else."""

    code = "key_reused"

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"{key} was used for another command; ask again with a new key")
