"""What deriving keys and addresses can refuse; no message ever holds a secret."""

from __future__ import annotations

from mrmarket.core.errors import MrMarketError


class DerivationError(MrMarketError):
    """No key was derived."""

    code = "derivation"


class NameFieldError(DerivationError):
    """A field of a key's name could be mistaken for another, or found again by nobody."""

    code = "name_field_refused"

    def __init__(self, field: str, reason: str, wanted: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field} {reason}; give {wanted}")


class UnknownChainError(DerivationError):
    """No such chain is known."""

    code = "unknown_chain"

    def __init__(self, chain: str, known: str) -> None:
        self.chain = chain
        super().__init__(f"there is no chain {chain!r}; give one of {known}")


class ChainRefusedError(DerivationError):
    """The chain has no address by this scheme that one should pay to."""

    code = "chain_refused"

    def __init__(self, chain: str, scheme: str, reason: str) -> None:
        self.chain = chain
        self.scheme = scheme
        self.reason = reason
        super().__init__(f"no address of {chain} is derived by the scheme {scheme}: {reason}")


class SeedRefusedError(DerivationError):
    """What was given is no seed. The words hold nothing of it."""

    code = "seed_refused"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the seed was refused: {reason}")


class SeedMissingError(DerivationError):
    """Nobody gave a seed."""

    code = "seed_missing"

    def __init__(self, variable: str) -> None:
        self.variable = variable
        super().__init__(
            f"no seed was given; name a file with --seed-file, set {variable}, or run it on a terminal"
        )


class KeyRefusedError(DerivationError):
    """The bytes are no private key of the curve: for a derived one, that never happens in practice."""

    code = "key_refused"

    def __init__(self, curve: str) -> None:
        self.curve = curve
        super().__init__(f"these bytes are no private key of {curve}; use another index")


class PathRefusedError(DerivationError):
    """A derivation path that the curve has no keys for."""

    code = "path_refused"

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"the path {path!r} was refused: {reason}")


class SecretClosedError(DerivationError):
    """A seed or private key was asked for after it had been overwritten."""

    code = "secret_closed"

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(f"the {kind} was closed and overwritten; derive or read it again")


class ChainsMissingError(DerivationError):
    """The libraries of the chains are not installed."""

    code = "chains_missing"

    def __init__(self) -> None:
        super().__init__("addresses need the libraries of the chains; pip install 'mrmarket[chains]'")
