"""Seeds and private keys: never shown, overwritten when closed."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from typing import Any

import msgspec
import pytest
import structlog

from mrmarket.partners.keys.errors import KeyRefusedError, SecretClosedError, SeedRefusedError
from mrmarket.partners.keys.secret_bytes import MASK, HdSeed, PrivateKey, SecretBytes, Seed

RAW = bytes(range(1, 33))
KINDS: list[type[SecretBytes]] = [Seed, HdSeed, PrivateKey]
SHOWN = (RAW.hex(), repr(RAW), RAW.decode("latin1"), str(list(RAW)))


def hides(text: str) -> bool:
    """Whether no usual writing of the bytes is in a text."""
    return not any(form in text for form in SHOWN)


@pytest.mark.parametrize("kind", KINDS)
def test_no_way_of_writing_shows_it(kind: type[SecretBytes], caplog: pytest.LogCaptureFixture) -> None:
    """str, repr, format, containers, logging and structlog give the mask."""
    secret = kind(RAW)
    with caplog.at_level(logging.INFO):
        logging.getLogger("t").info("key %s %r", secret, secret, extra={"key": secret})
    event = structlog.dev.ConsoleRenderer(colors=False)(None, "info", {"event": "x", "key": secret})
    texts = [
        str(secret),
        repr(secret),
        f"{secret:>40}",
        f"{secret!s} {[secret]!r}",
        caplog.text,
        str(event),
    ]
    assert all(hides(text) for text in texts)
    assert str(secret) == MASK


@pytest.mark.parametrize("kind", KINDS)
def test_it_cannot_be_pickled_copied_or_written_as_json(kind: type[SecretBytes]) -> None:
    """Whatever makes another copy of it fails instead, and without showing it."""
    secret = kind(RAW)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode, hash):
        with pytest.raises(TypeError) as refused:
            attempt(secret)
        assert hides("".join(traceback.format_exception(refused.value)))


@pytest.mark.parametrize("kind", KINDS)
def test_closing_overwrites_its_memory(kind: type[SecretBytes]) -> None:
    """The very bytearray that held it is zeros afterwards, and it answers nothing more."""
    secret = kind(RAW)
    held: Any = secret._held
    with secret:
        assert secret.reveal() == RAW
    assert bytes(held) == bytes(32)
    assert secret.closed
    secret.close()
    with pytest.raises(SecretClosedError) as refused:
        secret.reveal()
    assert secret.kind in str(refused.value)


def test_it_is_closed_when_its_use_fails() -> None:
    """An error inside the block leaves no key behind."""
    secret = Seed(RAW)
    with pytest.raises(ZeroDivisionError), secret:
        _ = 1 // 0
    assert secret.closed


def test_the_callers_own_copy_can_be_overwritten_apart() -> None:
    """What is held is a copy, so wiping the source does not change the key."""
    source = bytearray(RAW)
    secret = PrivateKey(source)
    source[:] = bytes(32)
    assert secret.reveal() == RAW


def test_equal_means_of_one_kind_and_equal_bytes() -> None:
    """A seed is never equal to a private key, whatever the bytes."""
    assert Seed(RAW) == Seed(RAW)
    assert Seed(RAW) != Seed(bytes([9]) * 32)
    assert Seed(RAW) != PrivateKey(RAW)
    assert Seed(RAW) != RAW


@pytest.mark.parametrize("text", ["", "01", "0" * 64, "zz" * 32, RAW.hex() + "00", RAW.hex()[:-1], "é" * 64])
def test_what_is_no_seed_is_refused_unseen(text: str) -> None:
    """The words name the fault and never the text."""
    with pytest.raises(SeedRefusedError) as refused:
        Seed.from_hex(text)
    shown = "".join(traceback.format_exception(refused.value, chain=True))
    assert len(text) < 3 or text not in shown
    assert refused.value.__cause__ is None


def test_a_seed_is_read_with_and_without_its_prefix() -> None:
    """`0x` before the digits changes nothing."""
    assert Seed.from_hex("0x" + RAW.hex()) == Seed.from_hex(RAW.hex().upper()) == Seed(RAW)


def test_a_generated_seed_is_what_the_source_gave() -> None:
    """32 bytes are asked for; a source that gives zeros is refused."""
    assert Seed.generate(lambda count: RAW[:count]) == Seed(RAW)
    with pytest.raises(SeedRefusedError):
        Seed.generate(bytes)


@pytest.mark.parametrize("size", [0, 15, 65])
def test_other_lengths_are_refused(size: int) -> None:
    """Neither an HD seed nor a private key has them."""
    with pytest.raises(SeedRefusedError):
        HdSeed(bytes(size))
    with pytest.raises(KeyRefusedError):
        PrivateKey(bytes(size))
