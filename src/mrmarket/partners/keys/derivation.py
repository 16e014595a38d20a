"""Keys and addresses from a seed: by name (`scope:user:chain:index`), or by the path wallets use.

    with Seed.from_hex(text) as seed:
        found = address_by_name(seed, KeyName.of("wallet", "default", "ethereum", "0"))
    print(found.address)

Compatible with the public SDK "drxa" on every chain where what it shows can be spent from.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from mrmarket.partners.keys.chain import Chain, Scheme, admit
from mrmarket.partners.keys.encoding import address_of, key_at, lost_address_of, public_key
from mrmarket.partners.keys.errors import NameFieldError
from mrmarket.partners.keys.name import KeyName
from mrmarket.partners.keys.secret_bytes import KEY_BYTES, HdSeed, PrivateKey, Seed

_PATHS: Final = {
    Chain.BITCOIN: "m/86'/0'/0'/0/{}",
    Chain.SOLANA: "m/44'/501'/{}'/0'",
    Chain.APTOS: "m/44'/637'/{}'/0'/0'",
    Chain.SUI: "m/44'/784'/{}'/0'/0'",
    Chain.TRON: "m/44'/195'/0'/0/{}",
    Chain.TON: "m/44'/607'/{}'",
    Chain.NEAR: "m/44'/397'/{}'",
}
_EVM_PATH: Final = "m/44'/60'/0'/0/{}"
_HARDENED: Final = 2**31


@dataclass(frozen=True, slots=True)
class Address:
    """Where a chain pays to, and how its key is found again. Holds no secret."""

    chain: Chain
    address: str
    """As the chain's wallets write it."""
    public_key: str
    """Hexadecimal; compressed where the curve has that."""
    scheme: Scheme
    name: str
    """`scope:user:chain:index`, or the path."""
    never_use: str | None = None
    """What the older SDK showed for the same key, and nobody can sign for; None where it was right."""


def derive_key(seed: Seed, name: KeyName, scheme: Scheme = Scheme.HMAC) -> PrivateKey:
    """The private key of a name. Close it as soon as it has signed.

    Args:
        seed: the master seed.
        name: whose, on which chain, which.
        scheme: `hmac`, or `corrected` on near and ton.

    Raises:
        ChainRefusedError: the chain has no safe address by that scheme.
        NameFieldError: the scheme does not derive by name.
        SecretClosedError: the seed was closed.
    """
    if scheme is Scheme.BIP44:
        raise NameFieldError("scheme", "is bip44, which derives by path", "hmac or corrected")
    admit(name.chain, scheme)
    # The one half is dropped at once; neither it nor the key's own bytes can be overwritten by Python.
    return PrivateKey(hmac.digest(seed.reveal(), name.message(), hashlib.sha512)[:KEY_BYTES])


def address_by_name(seed: Seed, name: KeyName, scheme: Scheme = Scheme.HMAC) -> Address:
    """The address of a name; its private key is overwritten before this returns. Raises as `derive_key`."""
    with derive_key(seed, name, scheme) as key:
        return _address(key, name.chain, scheme, str(name))


def path_of(chain: Chain, index: int) -> str:
    """The path at which the chain's wallets keep their address number `index`.

    Raises:
        ChainRefusedError: its wallets use no such path.
        NameFieldError: the index is not from 0 to 2³¹ − 1.
    """
    admit(chain, Scheme.BIP44)
    if not 0 <= index < _HARDENED:
        raise NameFieldError("index", f"is {index}", "a whole number from 0 to 2147483647")
    return _PATHS.get(chain, _EVM_PATH).format(index)


def address_by_path(seed: HdSeed, chain: Chain, index: int) -> Address:
    """The address a wallet shows for a mnemonic, see `seed_of_words`.

    Raises:
        ChainRefusedError, NameFieldError: as `path_of`.
        SecretClosedError: the seed was closed.
    """
    path = path_of(chain, index)
    with key_at(seed, path, chain.curve) as key:
        return _address(key, chain, Scheme.BIP44, path)


def _address(key: PrivateKey, chain: Chain, scheme: Scheme, name: str) -> Address:
    return Address(
        chain=chain,
        address=address_of(key, chain),
        public_key=public_key(key, chain.curve).hex(),
        scheme=scheme,
        name=name,
        never_use=lost_address_of(key, chain) if scheme is Scheme.HMAC else None,
    )
