"""Names of keys: no two are the same key, and what could be mistaken is refused."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrmarket.partners.keys import encoding
from mrmarket.partners.keys.chain import Chain, Scheme, admit, chain_named
from mrmarket.partners.keys.derivation import derive_key, path_of
from mrmarket.partners.keys.errors import (
    ChainRefusedError,
    ChainsMissingError,
    NameFieldError,
    UnknownChainError,
)
from mrmarket.partners.keys.name import KeyName
from mrmarket.partners.keys.secret_bytes import Seed

SEED = Seed(bytes([1]) * 32)
fields = st.text(
    st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1, max_size=8
).filter(lambda text: ":" not in text)
chains = st.sampled_from([chain for chain in Chain if chain not in {Chain.NEAR, Chain.TON, Chain.CARDANO}])
names = st.builds(KeyName, scope=fields, user=fields, chain=chains, index=fields)


@given(one=names, other=names)
def test_two_names_share_a_message_only_if_they_are_equal(one: KeyName, other: KeyName) -> None:
    """Without separators in fields the joined text says which field each letter is of."""
    assert (one.message() == other.message()) == (one == other)
    assert (derive_key(SEED, one) == derive_key(SEED, other)) == (one == other)


@given(name=names)
def test_a_key_is_the_first_half_of_the_digest(name: KeyName) -> None:
    """HMAC-SHA512 of the four fields under the seed, nothing else."""
    text = f"{name.scope}:{name.user}:{name.chain.value}:{name.index}"
    digest = hmac.new(SEED.reveal(), text.encode(), hashlib.sha512).digest()
    assert derive_key(SEED, name).reveal() == digest[:32]


def test_a_letter_moved_over_the_border_is_another_key() -> None:
    """`ab` and `c` are not `a` and `bc`."""
    one = derive_key(SEED, KeyName("ab", "c", Chain.SUI, "0"))
    other = derive_key(SEED, KeyName("a", "bc", Chain.SUI, "0"))
    assert one != other


@pytest.mark.parametrize("field", ["scope", "user", "chain", "index"])
@pytest.mark.parametrize(
    "value",
    ["", ":", "a:b", " a", "a ", "a\n", "a\x00b", "\ud800", "a\u200bb", "e\u0301", "x" * 257, 7, None, b"a"],
)
def test_a_field_that_could_be_mistaken_is_refused(field: str, value: Any) -> None:
    """Separators, emptiness, invisible letters, uncomposed accents, and what is no text."""
    given_fields: dict[str, Any] = {"scope": "wallet", "user": "ann", "chain": "sui", "index": "0"}
    given_fields[field] = value
    with pytest.raises(NameFieldError) as refused:
        KeyName.of(**given_fields)
    assert (refused.value.field, refused.value.code) == (field, "name_field_refused")


def test_a_chain_that_is_only_text_is_refused() -> None:
    """The constructor wants the enumeration, so that no unknown chain gets a key."""
    word: Any = "sui"
    with pytest.raises(NameFieldError):
        KeyName("wallet", "ann", word, "0")


@pytest.mark.parametrize("name", ["Ethereum", "eos", "eth"])
def test_an_unknown_chain_is_refused_with_those_there_are(name: str) -> None:
    """A chain in capitals would be another key, so it is not silently taken for the other."""
    with pytest.raises(UnknownChainError) as refused:
        chain_named(name)
    assert "ethereum" in str(refused.value)


@pytest.mark.parametrize(
    ("chain", "scheme", "words"),
    [
        (Chain.NEAR, Scheme.HMAC, "corrected"),
        (Chain.TON, Scheme.HMAC, "corrected"),
        (Chain.CARDANO, Scheme.HMAC, "test network"),
        (Chain.CARDANO, Scheme.CORRECTED, "BIP32-Ed25519"),
        (Chain.CARDANO, Scheme.BIP44, "BIP32-Ed25519"),
        (Chain.POLKADOT, Scheme.BIP44, "hmac"),
        (Chain.ETHEREUM, Scheme.CORRECTED, "hmac"),
        (Chain.TRON, Scheme.CORRECTED, "hmac"),
        *((chain, Scheme.EVM_V1, "nobody can sign") for chain in Chain),
    ],
)
def test_chains_that_lose_funds_are_refused_with_the_reason(chain: Chain, scheme: Scheme, words: str) -> None:
    """The reason says what to do instead, and its code is stable."""
    with pytest.raises(ChainRefusedError) as refused:
        admit(chain, scheme)
    assert words in str(refused.value)
    assert (refused.value.chain, refused.value.scheme) == (chain, scheme)
    assert refused.value.code == "chain_refused"


def test_a_refused_chain_gives_no_key_either() -> None:
    """Not only the address is refused: a key that was handed out would be paid to somehow."""
    near = KeyName("wallet", "ann", Chain.NEAR, "0")
    with pytest.raises(ChainRefusedError):
        derive_key(SEED, near)
    assert derive_key(SEED, near, Scheme.CORRECTED).reveal()
    with pytest.raises(NameFieldError):
        derive_key(SEED, near, Scheme.BIP44)
    with pytest.raises(ChainRefusedError):
        path_of(Chain.CARDANO, 0)


def test_without_the_libraries_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module cannot be loaded where bip-utils is not, and says so in a sentence."""
    monkeypatch.setitem(sys.modules, "bip_utils", None)
    assert encoding.__file__ is not None
    spec = importlib.util.spec_from_file_location("encoding_alone", Path(encoding.__file__))
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ChainsMissingError) as refused:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert "mrmarket[chains]" in str(refused.value)
