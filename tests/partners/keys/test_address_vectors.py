"""Addresses of many chains: the partners' vectors, and libraries that are not ours."""

from __future__ import annotations

import hashlib

import bip_utils  # type: ignore[import-untyped]
import pytest
from eth_account import Account
from eth_keys.datatypes import PrivateKey as EthKey
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey
from solders.keypair import Keypair

from mrmarket.partners.keys.chain import Chain, Curve, Scheme
from mrmarket.partners.keys.derivation import address_by_name, address_by_path, derive_key, path_of
from mrmarket.partners.keys.encoding import address_of, key_at, public_key, seed_of_words
from mrmarket.partners.keys.errors import KeyRefusedError, NameFieldError, PathRefusedError, SeedRefusedError
from mrmarket.partners.keys.name import KeyName
from mrmarket.partners.keys.secret_bytes import HdSeed, PrivateKey, Seed

A = bytes([1]) * 32
B = bytes.fromhex("6aeb8aa877e9bc8c26fc6a6d4d852e41d51e4bf62266f1fa9914060a6b35a5a6")
B_USER = "0d0e72f3-7b46-483e-b12d-8696ecab55a0"
WORDS = " ".join(["abandon"] * 11 + ["about"])
EVM = [chain for chain in Chain if chain.evm]
BY_NAME = [chain for chain in Chain if chain not in {Chain.NEAR, Chain.TON, Chain.CARDANO}]
keys = st.binary(min_size=32, max_size=32).filter(lambda raw: 0 < int.from_bytes(raw) < 2**255)


def of_name(seed: bytes, chain: str, user: str = "default", scheme: Scheme = Scheme.HMAC) -> str:
    """The address of a name in the scope that the vectors have."""
    return address_by_name(Seed(seed), KeyName.of("wallet", user, chain, "0"), scheme).address


@pytest.mark.parametrize(
    ("chain", "start_of_key", "address"),
    [
        ("ethereum", "603ad874ff488512", "0x93CBbd94D08880c0Fa06755a758B0b04B4D4Ee2c"),
        ("bsc", "1987c9d791a12632", "0xEf680c4cd20eD13d531119B7CCB9f4B71F9c0Ed6"),
        ("polygon", "759510811743e8cb", "0x5DE1022A8B75bf23FCE70D41e9046b007B3D6f6B"),
        ("base", "ed471662dddf402c", "0xB6c1c3DB8dd367656F39Bb05A99C71b21C70b8da"),
        (
            "bitcoin",
            "8122abb14bd13c6e",
            "bc1pt6xejlfjppd84ejsqeakvpxxfptulz4zzm39edjm2y7sj4gxhy3qqw63zk",
        ),
        ("solana", "e81985b94dd33ced", "FSRjABdQ7MzAG4kykBkDUWkUbDtk37Hmfn65mWTqeFZQ"),
        (
            "aptos",
            "29ae55ec360c0110",
            "0x9b59873b2397023c2847e6e95414394a0f61519f4b01d92e0c2460904563359e",
        ),
        (
            "sui",
            "4bc0d1ecff1a38a2",
            "0x0e9ace823c101e59038302b0f2fbe4695d6d245351669d743806b4a18bccf993",
        ),
        ("tron", "71a40aa34861f0dc", "TXnumCeh98FjtTfh4GMFh2QbYDwuqACBku"),
    ],
)
def test_vectors_of_the_first_seed(chain: str, start_of_key: str, address: str) -> None:
    """Keys and addresses of 32 ones are those that were computed apart from this code."""
    key = derive_key(Seed(A), KeyName.of("wallet", "default", chain, "0"))
    assert key.reveal().hex().startswith(start_of_key)
    assert of_name(A, chain) == address


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("ethereum", "0x4281B84d5084C8B867deFFa004c8AFe8609FDCeB"),
        ("polygon", "0x0f8b139Fe3a8cd40Ef3530901D22aF21eFdaCefe"),
        ("bitcoin", "bc1prxg8wp6etruk0g8p90qwtxqm7e570p2s63km2hgpwyed87vyvafqwrrzpm"),
        ("solana", "7ZQrz5ZcfVbMMvhHuKuHbQWuoDiLBvZH7iDPUc4Gtook"),
    ],
)
def test_vectors_of_the_second_seed(chain: str, address: str) -> None:
    """A seed and a user as the older SDK's examples have them."""
    assert of_name(B, chain, B_USER) == address


def test_what_the_older_sdk_showed_and_nobody_can_spend_is_named_as_such() -> None:
    """The two vectors of lost addresses come back as a warning, never as the address."""
    ethereum = address_by_name(Seed(A), KeyName.of("wallet", "default", "ethereum", "0"))
    tron = address_by_name(Seed(A), KeyName.of("wallet", "default", "tron", "0"))
    solana = address_by_name(Seed(A), KeyName.of("wallet", "default", "solana", "0"))
    assert ethereum.never_use is not None
    assert ethereum.never_use.lower() == "0x4c2fa1c787c680dd24902be48073912e099b65d0"
    assert tron.never_use == "TMB3ZHuPSwAVgHtd8vFyBxKmuXGj9xdDxm"
    assert solana.never_use is None


def test_polkadot_is_generic_sr25519() -> None:
    """The network's well-known development key of Alice has the address everybody knows."""
    mini = PrivateKey(bytes.fromhex("e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a"))
    assert address_of(mini, Chain.POLKADOT) == "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
    assert (
        public_key(mini, Curve.SR25519).hex().startswith("d43593c715fdd31c61141abd04a99fd6822c8558854ccde3")
    )


def test_every_chain_by_name_has_an_address_of_its_own() -> None:
    """The chain is part of the name: fifteen chains, fifteen addresses, also among EVM chains."""
    assert len(BY_NAME) == 15
    assert len({of_name(A, chain) for chain in BY_NAME}) == 15


def test_near_and_ton_are_corrected_and_can_be_spent_from() -> None:
    """NEAR's implicit account is the public key itself; TON's wallet is that of the key."""
    name = KeyName.of("wallet", "default", "near", "0")
    key = derive_key(Seed(A), name, Scheme.CORRECTED)
    assert of_name(A, "near", scheme=Scheme.CORRECTED) == bytes(SigningKey(key.reveal()).verify_key).hex()
    ton = address_by_name(Seed(A), KeyName.of("wallet", "default", "ton", "0"), Scheme.CORRECTED)
    assert (ton.address[:2], len(ton.address), ton.never_use) == ("UQ", 48, None)


@given(raw=keys)
def test_evm_agrees_with_eth_keys_and_eth_account(raw: bytes) -> None:
    """Two libraries of Ethereum's own give every EVM chain the same address for a key."""
    account = Account.from_key(raw).address
    key = PrivateKey(raw)
    assert {address_of(key, chain) for chain in EVM} == {account}
    assert EthKey(raw).public_key.to_checksum_address() == account
    assert public_key(key, Curve.SECP256K1) == EthKey(raw).public_key.to_compressed_bytes()


@given(raw=keys)
def test_ed25519_chains_agree_with_solders_and_their_definition(raw: bytes) -> None:
    """Solana against solders; Aptos, Sui and NEAR against their definition over libsodium's key."""
    keypair = Keypair.from_seed(raw)
    point = bytes(SigningKey(raw).verify_key)
    key = PrivateKey(raw)
    assert address_of(key, Chain.SOLANA) == str(keypair.pubkey())
    assert address_of(key, Chain.APTOS) == "0x" + hashlib.sha3_256(point + b"\x00").hexdigest()
    assert address_of(key, Chain.SUI) == "0x" + hashlib.blake2b(b"\x00" + point, digest_size=32).hexdigest()
    assert address_of(key, Chain.NEAR) == point.hex()


@pytest.mark.parametrize(
    ("chain", "index", "path", "address"),
    [
        (Chain.ETHEREUM, 0, "m/44'/60'/0'/0/0", "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"),
        (
            Chain.BITCOIN,
            0,
            "m/86'/0'/0'/0/0",
            "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
        ),
        (
            Chain.BITCOIN,
            1,
            "m/86'/0'/0'/0/1",
            "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh",
        ),
        (Chain.SOLANA, 0, "m/44'/501'/0'/0'", "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk"),
    ],
)
def test_words_give_what_wallets_show(chain: Chain, index: int, path: str, address: str) -> None:
    """The mnemonic of BIP-39's tests gives the addresses that BIP-86's document and wallets show."""
    found = address_by_path(seed_of_words(WORDS), chain, index)
    assert (found.name, found.address, found.never_use) == (path, address, None)


@given(index=st.integers(0, 2**31 - 1))
def test_paths_agree_with_eth_account_and_solders(index: int) -> None:
    """At any index the two libraries derive the same addresses from the same words."""
    Account.enable_unaudited_hdwallet_features()
    theirs = Account.from_mnemonic(WORDS, account_path=path_of(Chain.POLYGON, index)).address
    seed = seed_of_words(WORDS)
    assert address_by_path(seed, Chain.POLYGON, index).address == theirs
    solana = Keypair.from_seed_and_derivation_path(seed.reveal(), path_of(Chain.SOLANA, index))
    assert address_by_path(seed, Chain.SOLANA, index).address == str(solana.pubkey())


@pytest.mark.parametrize(
    ("chain", "start"),
    [(Chain.APTOS, "0x"), (Chain.SUI, "0x"), (Chain.TRON, "T"), (Chain.TON, "UQ"), (Chain.NEAR, "")],
)
def test_other_paths_are_those_of_the_library(chain: Chain, start: str) -> None:
    """Where a chain has a wallet in the library, our path and encoding give its first address."""
    coin = bip_utils.Bip44Coins["NEAR_PROTOCOL" if chain is Chain.NEAR else chain.name]
    wallet = bip_utils.Bip44.FromSeed(seed_of_words(WORDS).reveal(), coin)
    theirs = wallet.DeriveDefaultPath().PublicKey().ToAddress()
    ours = address_by_path(seed_of_words(WORDS), chain, 0).address
    assert ours == theirs
    assert ours.startswith(start)


def test_bip_39_official_vector() -> None:
    """The first English vector of BIP-39, whose passphrase is TREZOR; spaces and capitals do not matter."""
    seed = seed_of_words(f"  {WORDS.upper()} ", "TREZOR")
    assert seed.reveal().hex() == (
        "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e5349553"
        "1f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04"
    )


def test_slip_10_official_vector() -> None:
    """SLIP-10's first vector of ed25519: the master key, and one five steps down."""
    seed = HdSeed(bytes.fromhex("000102030405060708090a0b0c0d0e0f"))
    master = key_at(seed, "m", Curve.ED25519)
    assert master.reveal().hex() == "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7"
    deep = key_at(seed, "m/0'/1'/2'/2'/1000000000'", Curve.ED25519)
    assert deep.reveal().hex() == "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793"
    assert public_key(deep, Curve.ED25519).hex() == (
        "3c24da049451555d51a7014a37337aa4e12d41e485abccfa46b47dfb2af54b7a"
    )


@pytest.mark.parametrize(
    ("path", "curve"),
    [("m/44'/0", Curve.ED25519), ("m/x", Curve.SECP256K1), ("m/0", Curve.SR25519), ("m/0/", Curve.ED25519)],
)
def test_paths_without_keys_are_refused(path: str, curve: Curve) -> None:
    """A soft step of ed25519, a word for a number, and sr25519 have no numbered keys."""
    with pytest.raises(PathRefusedError) as refused:
        key_at(HdSeed(A), path, curve)
    assert (refused.value.path, refused.value.code) == (path, "path_refused")


@pytest.mark.parametrize("words", ["", "abandon " * 12, "abandon about", "zoo " * 11 + "wrong word"])
def test_words_with_a_wrong_checksum_are_refused_without_being_shown(words: str) -> None:
    """A typing error is found before money goes to a wallet that nobody has."""
    with pytest.raises(SeedRefusedError) as refused:
        seed_of_words(words)
    assert "abandon" not in str(refused.value)
    assert "zoo" not in str(refused.value)


@pytest.mark.parametrize("index", [-1, 2**31])
def test_an_index_outside_the_path_is_refused(index: int) -> None:
    """BIP-32 has 2³¹ numbers on a step."""
    with pytest.raises(NameFieldError):
        path_of(Chain.ETHEREUM, index)


@pytest.mark.parametrize("raw", [bytes(32), b"\xff" * 32])
def test_bytes_off_the_curve_are_refused(raw: bytes) -> None:
    """Zero and what is beyond the group's order are no keys of secp256k1."""
    with pytest.raises(KeyRefusedError):
        address_of(PrivateKey(raw), Chain.ETHEREUM)
    with pytest.raises(KeyRefusedError):
        address_of(PrivateKey(raw), Chain.CARDANO)
