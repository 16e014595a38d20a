"""What can go wrong with HuFi, each with a stable code and a sentence that says what to do."""

from __future__ import annotations

from typing import ClassVar

from mrmarket.core.errors import MrMarketError


class HufiError(MrMarketError):
    """Something about HuFi does not fit."""

    code: ClassVar[str] = "hufi"


class ManifestError(HufiError):
    """A manifest that is not one."""

    code = "hufi_manifest"

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"manifest, {field}: {reason}; the campaign is left alone, tell its launcher")


class HufiUnclearError(HufiError):
    """Nothing that can be relied on came back; what was asked for may have happened."""

    code = "hufi_unclear"
    retryable = True

    def __init__(self, route: str, why: str) -> None:
        self.route = route
        self.why = why
        super().__init__(f"HuFi, {route}: {why}; its outcome is unknown, ask what became of it")


class HufiRefusedError(HufiError):
    """HuFi said no; nothing was changed."""

    code = "hufi_refused"

    def __init__(self, route: str, status: int, message: str) -> None:
        self.route = route
        self.status = status
        self.message = message
        super().__init__(f"HuFi, {route}: refused with {status}, {message!r}; change the request")


class HufiLoginError(HufiError):
    """HuFi does not let the wallet in."""

    code = "hufi_login"

    def __init__(self, wallet: str, why: str) -> None:
        self.wallet = wallet
        self.why = why
        super().__init__(
            f"HuFi does not let {wallet} in: {why}; check that the signer holds that wallet's key"
        )


class HufiRateLimitedError(HufiError):
    """HuFi asked for a longer pause than we wait."""

    code = "hufi_rate_limited"
    retryable = True

    def __init__(self, route: str, pause_s: float) -> None:
        self.route = route
        self.pause_s = pause_s
        super().__init__(f"HuFi, {route}: too many requests; nothing was done, ask again in {pause_s:g} s")


class HufiRetiredError(HufiError):
    """A route that we know is gone."""

    code = "hufi_route_retired"

    def __init__(self, route: str, status: int) -> None:
        self.route = route
        self.status = status
        super().__init__(f"HuFi no longer has {route} ({status}); update the program")


class HufiAnswerError(HufiError):
    """An answer lacks what we need, or has it in another form."""

    code = "hufi_answer_changed"

    def __init__(self, route: str, why: str) -> None:
        self.route = route
        self.why = why
        super().__init__(f"HuFi, {route}: an answer that cannot be read ({why}); update the program")


class KeyRefusedError(HufiError):
    """An exchange key that is not given to anybody."""

    code = "hufi_key_refused"

    def __init__(self, exchange: str, reason: str) -> None:
        self.exchange = exchange
        self.reason = reason
        super().__init__(f"the key for {exchange} is not given away: {reason}; make one that can only read")


class KeyPermissionError(HufiError):
    """An exchange key that HuFi has and cannot use."""

    code = "hufi_key_permission"

    def __init__(self, exchange: str, missing: tuple[str, ...]) -> None:
        self.exchange = exchange
        self.missing = missing
        wanted = ", ".join(missing) or "a valid key"
        super().__init__(f"HuFi cannot use the key for {exchange}; give it {wanted} on the exchange, no more")


class ResultsError(HufiError):
    """A document of results that is not what its hash or its form promise."""

    code = "hufi_results"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"results: {reason}; do not rely on them, ask for the document again")


class SandboxError(HufiError):
    """The sandbox was asked for something that does not exist in it."""

    code = "hufi_sandbox"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"HuFi sandbox: {reason}; look at what it was started with")
