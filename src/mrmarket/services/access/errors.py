"""Why somebody was not let in; one class per thing a person would do about it."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class AccessError(MrMarketError):
    """Not let in."""

    code = "access_refused"


class SignInRefusedError(AccessError):
    """What was shown does not prove who is asking. The reason never tells how near the guess was."""

    code = "sign_in_refused"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class PasswordRefusedError(AccessError):
    """A new password is too easy, or too long."""

    code = "password_refused"

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        super().__init__(f"this password was refused; give {wanted}")


class TooManyRequestsError(AccessError):
    """Asked too often; nothing was done."""

    code = "too_many_requests"
    retryable = True

    def __init__(self, retry_after_s: int, what: str = "requests") -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"too many {what}; try again in {retry_after_s} s")


class TokenRefusedError(AccessError):
    """A bearer token that is not the owner's, or one that a web page sent."""

    code = "token_refused"

    def __init__(self) -> None:
        super().__init__(
            "the owner's token was refused; read it anew from owner.token in the instance's data folder"
        )


class NotDemoError(AccessError):
    """Demo people exist only where the payment rail is simulated."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("there are no demo people here; sign in with a wallet")
