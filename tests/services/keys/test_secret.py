"""A secret shows itself to nobody by accident."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import msgspec
import pytest

from mrmarket.services.keys.secret import MASK, Secret
from services.keys.key_samples import API_SECRET, credentials, texts


def test_every_way_of_showing_it_gives_the_mask(caplog: pytest.LogCaptureFixture) -> None:
    """`repr`, `str`, formatting, logging and what holds it."""
    held = credentials()
    logging.getLogger("test").warning("with %s and %r", held, held.secret)
    shown = f"{held} {held.secret} {held.secret!r} {held.secret:>30} {caplog.text} {[held]!r}"
    assert API_SECRET not in shown
    assert MASK in shown


def fail_with(secret: Secret) -> None:
    """A function whose frame holds a secret when it fails."""
    raise RuntimeError(f"with {secret}")


def test_a_traceback_with_it_shows_no_text() -> None:
    """Not even one that prints local variables."""
    try:
        fail_with(Secret("hidden" * 2))
    except RuntimeError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        lines = "".join(shown.format())
        assert "hiddenhidden" not in lines
        assert MASK in lines


def test_it_is_neither_pickled_nor_encoded() -> None:
    """A cache, a queue to another process or a JSON answer cannot carry it away."""
    for encode in (pickle.dumps, msgspec.json.encode, json.dumps):
        with pytest.raises(TypeError):
            encode(Secret("text"))


def test_only_reveal_gives_the_text_and_wiping_ends_it() -> None:
    """Also for every copy, because copies share the memory that is overwritten."""
    secret = Secret("ünïcode")
    again = copy.deepcopy(copy.copy(secret))
    assert again.reveal() == "ünïcode"
    assert secret == again
    assert secret != Secret("other")
    assert secret != "ünïcode"
    secret.wipe()
    assert (again.reveal(), len(again), bool(again)) == ("", 0, False)


def test_credentials_are_wiped_whole() -> None:
    """No part stays behind."""
    held = credentials()
    held.wipe()
    assert texts(held) == ("", "", "")


def test_it_is_no_key_of_a_table() -> None:
    """A hash of it would be stored beside it."""
    with pytest.raises(TypeError):
        hash(Secret("text"))
