"""What Mixin refuses or leaves open, each with a stable code."""

from __future__ import annotations

from typing import Final

from mrmarket.core.errors import MrMarketError

CODES: Final = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    429: "rate_limited",
    500: "server_error",
    7000: "blaze_error",
    7001: "blaze_timeout",
    10002: "invalid_field",
    10006: "client_too_old",
    10104: "address_pending",
    10105: "locked_by_other",
    10404: "not_registered",
    20116: "group_full",
    20117: "insufficient_balance",
    20120: "amount_too_small",
    20124: "insufficient_fee",
    20125: "paid_by_other",
    20127: "withdrawal_too_small",
    20131: "invalid_withdrawal_memo",
    20134: "withdrawal_too_large",
    20135: "withdrawal_fee_too_small",
    20150: "invalid_receivers",
    30102: "invalid_address",
}
"""Words for Mixin's error codes (developers.mixin.one, "Error Codes"; 10404 from "Safe APIs")."""

_ADVICE: Final = {
    "unauthorized": "check the keystore and this machine's clock",
    "forbidden": "the keystore may not do this; use the one that owns the money",
    "rate_limited": "ask less often",
    "not_registered": "the receiver has not registered with Mixin Safe yet; ask them to update their app",
    "insufficient_balance": "fund the bot first",
    "insufficient_fee": "ask for the fee again and pay it",
    "invalid_address": "check the address",
}


class MixinError(MrMarketError):
    """The root of what this room raises."""

    code = "mixin"


class MixinRefusedError(MixinError):
    """Mixin answered no: nothing was changed."""

    code = "mixin_refused"

    def __init__(self, request: str, number: int, detail: str) -> None:
        self.request = request
        self.number = number
        """Mixin's own error code."""
        self.reason = CODES.get(number, "unknown_code")
        """A stable word for it; `unknown_code` for one that the table does not have."""
        self.detail = detail
        advice = _ADVICE.get(self.reason, "correct the request")
        super().__init__(f"Mixin refused {request} ({self.reason}, {number}): {detail[:200]}; {advice}")


class MixinUnclearError(MixinError):
    """No answer came that can be relied on: the request may or may not have had its effect."""

    code = "mixin_unclear"
    retryable = True

    def __init__(self, request: str, detail: str) -> None:
        self.request = request
        self.detail = detail
        super().__init__(f"Mixin: {request}: {detail[:200]}; ask by the request id what became of it")


class MixinDriftError(MixinError):
    """An answer does not have the shape or the order that the protocol promises."""

    code = "mixin_drift"

    def __init__(self, request: str, detail: str) -> None:
        self.request = request
        self.detail = detail
        super().__init__(f"Mixin: {request}: {detail[:200]}; the interface has changed, update this program")


class MixinFeedStuckError(MixinError):
    """More payments carry one time stamp than a page can hold, so that no later one can be asked for."""

    code = "mixin_feed_stuck"

    def __init__(self, at: str, count: int) -> None:
        self.at = at
        self.count = count
        super().__init__(f"{count} or more payments carry the time {at}; read them by asset, by hand")


class MemoError(MixinError):
    """A text is not a memo of ours."""

    code = "mixin_memo"

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        """`alphabet`, `checksum`, `version`, `type`, `action` or `length`."""
        super().__init__(f"the memo cannot be read ({reason}): {detail}; ask the sender for a new one")


class KeystoreError(MixinError):
    """A keystore lacks something or holds what is no key. Never says what it holds."""

    code = "mixin_keystore"

    def __init__(self, field: str, wanted: str) -> None:
        self.field = field
        super().__init__(f"keystore: {field}: give {wanted}")


class TokenError(MixinError):
    """A request token does not hold."""

    code = "mixin_token"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the request token does not hold: {detail}; sign the request again")


class TransactionFormError(MixinError):
    """Bytes or fields that are no transaction."""

    code = "mixin_transaction"

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"not a transaction of version 5: {detail}; build it again")


class AddressError(MixinError):
    """A text that is no Mixin address, invoice or payment link."""

    code = "mixin_address"

    def __init__(self, kind: str, detail: str) -> None:
        self.kind = kind
        super().__init__(f"not a valid {kind}: {detail}; ask for it again")


class ShortOfFundsError(MixinError):
    """The outputs that may be spent do not suffice."""

    code = "mixin_short"

    def __init__(self, needed: int, held: int) -> None:
        self.needed = needed
        self.held = held
        super().__init__(f"{needed} units are needed and {held} can be spent; fund the bot or send less")


class FragmentedError(MixinError):
    """The money is there, in more pieces than one transaction can take."""

    code = "mixin_fragmented"
    retryable = True

    def __init__(self, needed: int, reachable: int) -> None:
        self.needed = needed
        self.reachable = reachable
        super().__init__(
            f"one transaction reaches {reachable} of {needed} units in the largest pieces; consolidate first"
        )


class TransferConflictError(MixinError):
    """A key was used for something else."""

    code = "mixin_conflict"

    def __init__(self, key: str, detail: str) -> None:
        self.key = key
        super().__init__(f"the key {key} was used for another payment ({detail}); give each its own")


class TransferWaitsError(MixinError):
    """The money is there but bound in transfers under way."""

    code = "mixin_waits"
    retryable = True

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail}; ask again when the transfers under way have ended")


class SandboxError(MixinError):
    """The sandbox cannot start or was asked for something impossible."""

    code = "mixin_sandbox"

    def __init__(self, detail: str, advice: str) -> None:
        super().__init__(f"{detail}; {advice}")
