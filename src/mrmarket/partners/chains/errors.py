"""What can go wrong with a chain, its node, a vault or a signer; one class per thing a person would do."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class ChainError(MrMarketError):
    """Something about an EVM chain."""

    code = "chain_error"


class ChainSettingsError(ChainError):
    """A chain, token or vault was configured in a way that cannot work."""

    code = "chain_settings_refused"

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}; correct the configuration, nothing was started")


class ChainUnreachableError(ChainError):
    """No node of the chain answered in time."""

    code = "chain_unreachable"
    retryable = True

    def __init__(self, chain: str, problem: str) -> None:
        self.chain = chain
        self.problem = problem
        super().__init__(f"{chain}: no node answers ({problem}); check the node, it is asked again by itself")


class WrongChainError(ChainError):
    """A node belongs to another chain than the one that is configured."""

    code = "chain_wrong_id"

    def __init__(self, chain: str, wanted: int, found: int) -> None:
        self.chain = chain
        self.wanted = wanted
        self.found = found
        super().__init__(
            f"{chain}: the node serves chain id {found}, not {wanted}; name a node of the right chain"
        )


class ChainAnswerRefusedError(ChainError):
    """A node's answer does not have the documented shape."""

    code = "chain_answer_refused"
    retryable = True

    def __init__(self, chain: str, method: str, problem: str) -> None:
        self.chain = chain
        self.method = method
        self.problem = problem
        super().__init__(f"{chain}: the answer to {method} was refused ({problem}); use another node")


class ChainCallError(ChainError):
    """A node answered a call with an error."""

    code = "chain_call_refused"
    retryable = True

    def __init__(self, chain: str, method: str, number: int, message: str) -> None:
        self.chain = chain
        self.method = method
        self.number = number
        """The JSON-RPC error number."""
        self.message = message
        super().__init__(f"{chain}: {method} was refused with {number} ({message}); see the node's manual")


class DeepReorganisationError(ChainError):
    """A chain replaced blocks whose transfers had been called final."""

    code = "chain_deep_reorganisation"

    def __init__(self, chain: str, final: int, agreed: int) -> None:
        self.chain = chain
        self.final = final
        self.agreed = agreed
        """The highest block of ours that the chain still has; -1 where none of those remembered is there."""
        super().__init__(
            f"{chain}: block {final} was final and is gone, the chain agrees with us up to {agreed};"
            " payouts on it are halted until somebody has looked and accepted it"
        )


class ChainStartError(ChainError):
    """A node has no block at the height where the watcher is to begin."""

    code = "chain_start_missing"
    retryable = True

    def __init__(self, chain: str, number: int) -> None:
        self.chain = chain
        self.number = number
        super().__init__(f"{chain}: the node has no block {number} to begin after; use a node that has it")


class CursorMovedError(ChainError):
    """Another process watches the same chain into the same file."""

    code = "chain_cursor_moved"
    retryable = True

    def __init__(self, chain: str) -> None:
        self.chain = chain
        super().__init__(f"{chain}: another process has moved the cursor; let only one watch it")


class NodeNotStartedError(ChainError):
    """A local node did not come up."""

    code = "local_node_failed"

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"the local EVM node did not start: {problem}")


class SignerError(ChainError):
    """A key cannot be used; the text never holds a part of it."""

    code = "signer_refused"

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"the vault's key from {where} was refused: {problem}")


class VaultError(ChainError):
    """A vault did not do what was asked; nothing left it."""

    code = "vault_refused"

    def __init__(self, key: str, problem: str, next_step: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(f"vault payment {key!r}: {problem}; {next_step}")


class DestinationRefusedError(VaultError):
    """The destination is not on the allow-list."""

    code = "vault_destination_refused"

    def __init__(self, key: str, destination: str) -> None:
        self.destination = destination
        super().__init__(
            key, f"{destination} is not on the allow-list", "add it to the configuration if it is right"
        )


class TokenRefusedError(VaultError):
    """The token is not one the vault may move."""

    code = "vault_token_refused"

    def __init__(self, key: str, token: str) -> None:
        self.token = token
        super().__init__(key, f"token {token} is not configured", "add it with its decimals, or leave it")


class SpendingLimitError(VaultError):
    """More than the window's limit would leave the vault."""

    code = "vault_limit_reached"

    def __init__(self, key: str, wanted_units: int, left_units: int) -> None:
        self.wanted_units = wanted_units
        self.left_units = left_units
        super().__init__(
            key,
            f"{wanted_units} units exceed the {left_units} that the spending limit leaves",
            "wait for the window to pass or raise the limit",
        )


class GasCeilingError(VaultError):
    """Gas costs more than the configuration allows."""

    code = "vault_gas_ceiling"
    retryable = True

    def __init__(self, key: str, what: str, wanted: int, ceiling: int) -> None:
        self.what = what
        self.wanted = wanted
        self.ceiling = ceiling
        super().__init__(key, f"{what} {wanted} exceeds {ceiling}", "wait for a calmer hour or raise it")


class WouldRevertError(VaultError):
    """The contract says beforehand that the payment would fail."""

    code = "vault_would_revert"

    def __init__(self, key: str, reason: str) -> None:
        self.reason = reason
        super().__init__(key, f"the token's contract would refuse it ({reason})", "check token and balance")


class ShortOfFundsError(VaultError):
    """The vault's account holds less than the payment needs."""

    code = "vault_short_of_funds"

    def __init__(self, key: str, what: str, wanted_units: int, held_units: int) -> None:
        self.what = what
        self.wanted_units = wanted_units
        self.held_units = held_units
        super().__init__(
            key, f"it needs {wanted_units} units of {what} and holds {held_units}", "top the account up"
        )


class PaymentConflictError(VaultError):
    """A key names a payment with other content."""

    code = "vault_conflict"

    def __init__(self, key: str) -> None:
        super().__init__(key, "a payment with other content has this key", "take another key")


class VaultHaltedError(VaultError):
    """Payouts on the chain are halted."""

    code = "vault_halted"

    def __init__(self, key: str, reason: str) -> None:
        self.reason = reason
        super().__init__(key, f"payouts on this chain are halted ({reason})", "look, then accept or keep it")


class VaultHeldError(ChainError):
    """Another process holds the vault."""

    code = "vault_held"
    retryable = True

    def __init__(self, name: str, owner: str) -> None:
        self.name = name
        self.owner = owner
        super().__init__(f"{name} is held by {owner!r}; stop that process or wait until its lease runs out")


class VaultFenceError(ChainError):
    """Another process took the vault over."""

    code = "vault_fence_lost"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} was taken over by another process; stop this one, nothing was written")
