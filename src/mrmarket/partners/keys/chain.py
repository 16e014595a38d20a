"""The chains there are addresses of, and by which scheme each may be had."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from mrmarket.partners.keys.errors import ChainRefusedError, UnknownChainError


class Curve(StrEnum):
    """What a chain signs with."""

    SECP256K1 = "secp256k1"
    ED25519 = "ed25519"
    SR25519 = "sr25519"


class Chain(StrEnum):
    """A chain; its value is the word that goes into a key's name."""

    ETHEREUM = "ethereum"
    BSC = "bsc"
    POLYGON = "polygon"
    AVALANCHE = "avalanche"
    ARBITRUM = "arbitrum"
    OPTIMISM = "optimism"
    CRONOS = "cronos"
    SONIC = "sonic"
    BASE = "base"
    BITCOIN = "bitcoin"
    SOLANA = "solana"
    POLKADOT = "polkadot"
    CARDANO = "cardano"
    APTOS = "aptos"
    SUI = "sui"
    TRON = "tron"
    TON = "ton"
    NEAR = "near"

    @property
    def evm(self) -> bool:
        """Whether its addresses are Ethereum's."""
        return self in _EVM

    @property
    def curve(self) -> Curve:
        """What it signs with."""
        if self is Chain.POLKADOT:
            return Curve.SR25519
        return Curve.SECP256K1 if self.evm or self in {Chain.BITCOIN, Chain.TRON} else Curve.ED25519


class Scheme(StrEnum):
    """How a key comes from a seed, and which address it is given."""

    HMAC = "hmac"
    """HMAC-SHA512 of `scope:user:chain:index` under the seed, its first half as the key: the older SDK's
    keys on every chain where it shows an address that its own key can spend from; on tron its key with the
    address that belongs to it."""
    CORRECTED = "corrected"
    """The same key on chains where the older SDK makes another one that loses funds (near, ton), with the
    address that belongs to it. Nothing the older SDK showed is found again."""
    BIP44 = "bip44"
    """BIP-39 words, BIP-32 or SLIP-10, the path that the chain's wallets use."""
    EVM_V1 = "evm-v1"
    """The older SDK's first EVM addresses: always refused, nobody can sign for them."""


_EVM: Final = frozenset(
    {
        Chain.ETHEREUM,
        Chain.BSC,
        Chain.POLYGON,
        Chain.AVALANCHE,
        Chain.ARBITRUM,
        Chain.OPTIMISM,
        Chain.CRONOS,
        Chain.SONIC,
        Chain.BASE,
    }
)

_REFUSED: Final = {
    Scheme.HMAC: {
        Chain.NEAR: "the older SDK made the public key from a 32-bit hash, so nobody can sign for its "
        "addresses; use the scheme corrected for an address that can be spent from",
        Chain.TON: "the older SDK chose 24 words from a list of 24, which is no TON mnemonic and can be "
        "guessed; use the scheme corrected for an address that can be spent from",
        Chain.CARDANO: "the older SDK's root is no wallet's, its addresses are of the test network unless "
        "told otherwise, and no vector confirms them; make a Cardano wallet and pay to its address",
    },
    Scheme.CORRECTED: {
        Chain.CARDANO: "Cardano's wallets derive by BIP32-Ed25519, which is not offered here; make a "
        "Cardano wallet and pay to its address",
    },
    Scheme.BIP44: {
        Chain.CARDANO: "Cardano's wallets derive by BIP32-Ed25519, which is not offered here; make a "
        "Cardano wallet and pay to its address",
        Chain.POLKADOT: "Polkadot's wallets derive by soft and hard junctions of sr25519, not by a path of "
        "numbers; use the scheme hmac",
    },
}


def chain_named(name: str) -> Chain:
    """The chain of that name, in lower case as it goes into a key's name.

    Raises:
        UnknownChainError: there is none.
    """
    try:
        return Chain(name)
    except ValueError:
        raise UnknownChainError(name, ", ".join(Chain)) from None


def admit(chain: Chain, scheme: Scheme) -> None:
    """Let pass what has an address that its key can spend from.

    Raises:
        ChainRefusedError: with the reason, and what to do instead.
    """
    if scheme is Scheme.EVM_V1:
        raise ChainRefusedError(
            chain,
            scheme,
            "it hashed half of the public key, so nobody can sign for its addresses; use the scheme hmac",
        )
    reason = _REFUSED[scheme].get(chain)
    if reason is None and scheme is Scheme.CORRECTED and chain not in {Chain.NEAR, Chain.TON}:
        reason = "the older SDK's key is right there; use the scheme hmac"
    if reason is not None:
        raise ChainRefusedError(chain, scheme, reason)
