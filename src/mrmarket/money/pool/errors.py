"""What settlement and the pool refuse."""

from __future__ import annotations

from collections.abc import Sequence

from mrmarket.core.errors import MrMarketError


class PoolError(MrMarketError):
    """The pool did not do what was asked; no balance has changed."""

    code = "pool_error"


class StreamBrokenError(PoolError):
    """A fact does not follow from the one before it: the event log was altered."""

    code = "stream_broken"

    def __init__(self, stream: str, seq: int, reason: str) -> None:
        self.stream = stream
        self.seq = seq
        self.reason = reason
        super().__init__(
            f"event {seq} of stream {stream!r}: {reason}; settlement stopped before it, check the event log"
        )


class NoPriceError(PoolError):
    """Something to be valued has no observed price."""

    code = "no_price"
    retryable = True

    def __init__(self, assets: list[str]) -> None:
        self.assets = assets
        super().__init__(f"no price is known for {', '.join(assets)}; wait for market data and try again")


class UnknownDepositorError(PoolError):
    """Somebody without shares asked for a withdrawal."""

    code = "unknown_depositor"

    def __init__(self, user: str) -> None:
        self.user = user
        super().__init__(f"{user!r} holds no shares of this pool; check the name")


class UnknownPoolError(PoolError):
    """There is no pool of that name."""

    code = "unknown_pool"

    def __init__(self, pool: str, known: Sequence[str]) -> None:
        self.pool = pool
        self.known = list(known)
        super().__init__(f"there is no pool {pool!r}; name one of {', '.join(known)}")


class PoolLeftOutError(PoolError):
    """Somebody owns a part of a pool that is not configured: nobody could see it or leave it."""

    code = "pool_left_out"

    def __init__(self, pools: Sequence[str]) -> None:
        self.pools = list(pools)
        super().__init__(
            f"the books hold money of people in {', '.join(pools)}; give the configuration pools of these"
            " names again, and drop one only when everybody has left it"
        )


class UnknownTierError(PoolError):
    """A pool offers no lock tier of that name."""

    code = "unknown_tier"

    def __init__(self, tier: str, known: Sequence[str]) -> None:
        self.tier = tier
        self.known = list(known)
        super().__init__(f"there is no lock tier {tier!r}; name one of {', '.join(known)}")


class DepositRefusedError(PoolError):
    """The pool's terms, or its state, do not let a deposit in."""

    code = "deposit_refused"

    def __init__(self, pool: str, rule: str, reason: str) -> None:
        self.pool = pool
        self.rule = rule
        self.reason = reason
        super().__init__(f"pool {pool!r}: {reason}")


class WithdrawalRefusedError(PoolError):
    """The pool's terms, or its state, do not let shares out."""

    code = "withdrawal_refused"

    def __init__(self, pool: str, rule: str, reason: str, until_ms: int | None = None) -> None:
        self.pool = pool
        self.rule = rule
        self.reason = reason
        self.until_ms = until_ms
        super().__init__(f"pool {pool!r}: {reason}")


class TermsChangedError(PoolError):
    """The terms that a user agreed to are not those that hold."""

    code = "terms_changed"

    def __init__(self, pool: str, agreed: int, current: int) -> None:
        self.pool = pool
        self.agreed = agreed
        self.current = current
        super().__init__(
            f"pool {pool!r} has new terms (version {current}, not {agreed}); read them and ask again"
        )


class NoticeTooShortError(PoolError):
    """Terms that cost depositors more were to hold before they can leave."""

    code = "notice_too_short"

    def __init__(self, pool: str, earliest_ms: int) -> None:
        self.pool = pool
        self.earliest_ms = earliest_ms
        super().__init__(
            f"pool {pool!r} promises notice of terms that cost more; give {earliest_ms} (UTC ms) or later"
        )


class UnknownRequestError(PoolError):
    """There is no such deposit or withdrawal."""

    code = "unknown_request"

    def __init__(self, what: str, request: str) -> None:
        self.what = what
        self.request = request
        super().__init__(f"there is no {what} {request!r}; list yours for the ids")


class RequestStateError(PoolError):
    """What was asked is not possible in the state that a deposit or withdrawal is in."""

    code = "request_state"

    def __init__(self, what: str, request: str, state: str, wanted: str) -> None:
        self.what = what
        self.request = request
        self.state = state
        super().__init__(f"{what} {request} is {state}; this is for one that is {wanted}")


class RequestConflictError(PoolError):
    """A key came back with another request."""

    code = "idempotency_conflict"

    def __init__(self, what: str, request: str) -> None:
        self.what = what
        self.request = request
        super().__init__(f"the key was used for another {what} ({request}); take a new key")


class PostingRefusedError(PoolError):
    """The ledger refused what the pool's own rules allow."""

    code = "posting_refused"

    def __init__(self, key: str, rule: str, message: str) -> None:
        self.key = key
        self.rule = rule
        super().__init__(
            f"{key}: the ledger refused it ({rule}: {message}); verify the ledger and report this"
        )
