"""Public keys and addresses of private keys; the only file that knows bip-utils.

Sources: EIP-55; BIP-340, 341 and 350; SLIP-10; the chains' own documents of their address formats.
"""

from __future__ import annotations

from typing import Final

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from mrmarket.partners.keys.chain import Chain, Curve
from mrmarket.partners.keys.errors import (
    ChainsMissingError,
    KeyRefusedError,
    PathRefusedError,
    SeedRefusedError,
)
from mrmarket.partners.keys.secret_bytes import HdSeed, PrivateKey

try:
    import base58
    from bip_utils import (  # type: ignore[import-untyped]
        AptosAddrEncoder,
        Bip32KeyError,
        Bip32PathError,
        Bip32Slip10Ed25519,
        Bip32Slip10Secp256k1,
        Bip39Languages,
        Bip39MnemonicValidator,
        Bip39SeedGenerator,
        Ed25519PrivateKey,
        EthAddrEncoder,
        NearAddrEncoder,
        P2TRAddrEncoder,
        Secp256k1PrivateKey,
        SolAddrEncoder,
        Substrate,
        SubstrateCoins,
        SuiAddrEncoder,
        TonAddrEncoder,
        TonAddrVersions,
        TrxAddrEncoder,
    )
except ImportError as error:
    raise ChainsMissingError from error

_ED25519_ENCODERS: Final = {
    Chain.SOLANA: SolAddrEncoder,
    Chain.APTOS: AptosAddrEncoder,
    Chain.SUI: SuiAddrEncoder,
    Chain.NEAR: NearAddrEncoder,
}
_TRON_PREFIX: Final = b"\x41"
_ADDRESS_BYTES: Final = 20


def public_key(key: PrivateKey, curve: Curve) -> bytes:
    """The public key: 33 bytes compressed for secp256k1, 32 bytes otherwise.

    Raises:
        KeyRefusedError: the bytes are no key of that curve.
    """
    match curve:
        case Curve.SECP256K1:
            compressed: bytes = _secp256k1(key).PublicKey().RawCompressed().ToBytes()
            return compressed
        case Curve.ED25519:
            # The library puts a zero byte in front, to have the length of a compressed point.
            raw: bytes = _ed25519(key).PublicKey().RawCompressed().ToBytes()
            return raw[1:]
        case Curve.SR25519:
            point: bytes = (
                Substrate.FromSeed(key.reveal(), SubstrateCoins.GENERIC).PublicKey().RawCompressed().ToBytes()
            )
            return point


def address_of(key: PrivateKey, chain: Chain) -> str:
    """The address of main network that this key alone spends from.

    Bitcoin: pay to taproot, no script path. EVM: EIP-55. Polkadot: the generic prefix 42. TON: wallet
    version 4 revision 2, not bounceable. NEAR: the implicit account.

    Raises:
        KeyRefusedError: the bytes are no key of the chain's curve.
    """
    if chain.evm:
        text = EthAddrEncoder.EncodeKey(_secp256k1(key).PublicKey())
    elif chain is Chain.BITCOIN:
        text = P2TRAddrEncoder.EncodeKey(_secp256k1(key).PublicKey(), hrp="bc")
    elif chain is Chain.TRON:
        text = TrxAddrEncoder.EncodeKey(_secp256k1(key).PublicKey())
    elif chain is Chain.POLKADOT:
        text = Substrate.FromSeed(key.reveal(), SubstrateCoins.GENERIC).PublicKey().ToAddress()
    elif chain is Chain.TON:
        text = TonAddrEncoder.EncodeKey(_ed25519(key).PublicKey(), version=TonAddrVersions.V4)
    elif chain in _ED25519_ENCODERS:
        text = _ED25519_ENCODERS[chain].EncodeKey(_ed25519(key).PublicKey())
    else:
        raise KeyRefusedError(f"{chain}'s wallets")
    return str(text)


def lost_address_of(key: PrivateKey, chain: Chain) -> str | None:
    """The address the older SDK showed for this key although no key can sign for it; None where none.

    It hashed the x-coordinate of the public key alone: on tron, and on EVM in its first version.
    """
    if not (chain.evm or chain is Chain.TRON):
        return None
    tail = keccak(public_key(key, Curve.SECP256K1)[1:])[-_ADDRESS_BYTES:]
    if chain.evm:
        return str(to_checksum_address(tail))
    return base58.b58encode_check(_TRON_PREFIX + tail).decode()


def seed_of_words(words: str, passphrase: str | None = None) -> HdSeed:
    """The BIP-39 seed of English words, with a passphrase if the wallet has one.

    Raises:
        SeedRefusedError: not 12, 15, 18, 21 or 24 words of the list, or the checksum is wrong.
    """
    plain = " ".join(words.lower().split())
    if not Bip39MnemonicValidator(Bip39Languages.ENGLISH).IsValid(plain):
        raise SeedRefusedError("it is no BIP-39 mnemonic; give 12 to 24 English words with a right checksum")
    return HdSeed(Bip39SeedGenerator(plain, Bip39Languages.ENGLISH).Generate(passphrase or ""))


def key_at(seed: HdSeed, path: str, curve: Curve) -> PrivateKey:
    """The private key at a path such as `m/44'/60'/0'/0/0`: BIP-32 for secp256k1, SLIP-10 for ed25519.

    Raises:
        PathRefusedError: no path, or one with a step that is not hardened for ed25519, or of sr25519.
    """
    tree = {Curve.SECP256K1: Bip32Slip10Secp256k1, Curve.ED25519: Bip32Slip10Ed25519}.get(curve)
    if tree is None:
        raise PathRefusedError(path, f"{curve} has no numbered paths")
    try:
        node = tree.FromSeed(seed.reveal()).DerivePath(path)
    except (Bip32PathError, Bip32KeyError, ValueError) as error:
        raise PathRefusedError(path, str(error).lower() or "it is no path") from None
    return PrivateKey(node.PrivateKey().Raw().ToBytes())


def _secp256k1(key: PrivateKey) -> Secp256k1PrivateKey:
    try:
        return Secp256k1PrivateKey.FromBytes(key.reveal())
    except ValueError:
        raise KeyRefusedError(Curve.SECP256K1) from None


def _ed25519(key: PrivateKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.FromBytes(key.reveal())
