"""Signing in: the exact text, tokens that are renewed, and what a refused one leads to."""

from __future__ import annotations

import sys

import pytest

from mrmarket.core.clock import NS_PER_S
from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.hufi import login
from mrmarket.partners.hufi.errors import HufiAnswerError, HufiLoginError, HufiRefusedError, HufiUnclearError
from mrmarket.partners.hufi.login import OracleSession, WalletSigner, login_text
from mrmarket.partners.hufi.messages import KeyBody, KeyItem, LoginBody, RefreshBody, Tokens
from mrmarket.partners.hufi.recording_oracle import RecordingOracleClient
from mrmarket.partners.hufi.sandbox.entrance import key_signer, signer_of
from mrmarket.partners.hufi.sandbox.faults import FaultKind, FaultRule
from partners.hufi.hufi_stage import HufiStage


def test_what_is_signed_is_compact_json() -> None:
    """No blank, double quotes: byte for byte what a browser's JSON.stringify gives."""
    assert login_text("signup") == '{"nonce":"signup"}'


def test_another_wallet_agrees_on_the_signature() -> None:
    """eth-account signs the same text to the same bytes, and the sandbox knows the signer."""
    limit = sys.getrecursionlimit()
    from eth_account import Account
    from eth_account.messages import encode_defunct

    sys.setrecursionlimit(limit)  # importing it lifts the limit
    account = Account.from_key(b"\x07" * 32)
    text = login_text("00ff")
    theirs = "0x" + account.sign_message(encode_defunct(text=text)).signature.hex()
    address, sign = key_signer(b"\x07" * 32)
    assert (address, sign(text)) == (account.address.lower(), theirs)
    assert signer_of(text, theirs) == address
    for strange in ("0x", "0x" + "zz" * 65, "0x" + "00" * 65, "0x" + "ff" * 65):
        assert signer_of(text, strange) is None


async def test_the_first_nonce_is_signup_and_then_it_changes(stage: HufiStage) -> None:
    """Each sign-in signs another nonce."""
    for _ in range(3):
        await stage.new_session().token()
    assert stage.signed[0] == '{"nonce":"signup"}'
    assert len(set(stage.signed)) == 3
    assert all(len(text) == len('{"nonce":""}') + 32 for text in stage.signed[1:])


async def test_a_token_is_kept_while_it_is_good(stage: HufiStage) -> None:
    """Nine minutes later it is the same; just before ten it is renewed without a signature."""
    first = await stage.session.token()
    stage.wall.advance(540 * NS_PER_S)
    assert await stage.session.token() == first
    stage.wall.advance(31 * NS_PER_S)
    assert await stage.session.token() != first
    assert len(stage.signed) == 1


async def test_after_an_hour_of_silence_the_wallet_signs_again(stage: HufiStage) -> None:
    """A refresh token that has run out is not even tried."""
    await stage.session.token()
    stage.wall.advance(3_600 * NS_PER_S)
    stage.sandbox.faults.set(FaultRule(login.REFRESH, FaultKind.BROKEN, times=9))
    await stage.session.token()
    assert (len(stage.signed), stage.sandbox.faults.struck) == (2, 0)


async def test_another_sign_in_ends_our_refresh_token(stage: HufiStage) -> None:
    """One lives per user: ours is refused, and the wallet signs again."""
    await stage.session.token()
    await stage.new_session().token()
    stage.wall.advance(590 * NS_PER_S)
    await stage.session.token()
    assert len(stage.signed) == 3


async def test_a_refused_token_is_renewed_once(stage: HufiStage) -> None:
    """A server that forgot us (401) gets a new token and the question again; the caller notices nothing."""
    await stage.oracle.key_exchanges()
    stage.wall.advance(0)
    stage.sandbox.oracle._entrance._mint._key = type(stage.sandbox.oracle._entrance._mint)(
        stage.wall, 600
    )._key  # the server has restarted with another key
    assert await stage.oracle.key_exchanges() == ["mexc"]


async def test_a_token_that_never_helps_is_an_error(stage: HufiStage) -> None:
    """A second 401 is told, not tried for ever."""
    stage.sandbox.oracle._entrance._mint._life_s = -1
    with pytest.raises(HufiRefusedError) as refused:
        await stage.oracle.key_exchanges()
    assert refused.value.status == 401


async def test_a_wrong_signature_is_not_let_in(stage: HufiStage) -> None:
    """The signer of another key gets an error that names the wallet."""
    _, sign_other = key_signer(b"\x02" * 32)

    async def sign(text: str) -> str:
        return sign_other(text)

    session = OracleSession(stage.oracle_line, WalletSigner(stage.wallet, sign), stage.wall)
    with pytest.raises(HufiLoginError) as refused:
        await session.token()
    assert refused.value.wallet == stage.wallet


async def test_a_signer_that_signs_nothing_is_told(stage: HufiStage) -> None:
    """What is no signature never leaves."""

    async def sign(text: str) -> str:
        return "no"

    session = OracleSession(stage.oracle_line, WalletSigner(stage.wallet, sign), stage.wall)
    with pytest.raises(HufiLoginError, match="no signature of 65 bytes"):
        await session.token()


async def test_a_nonce_that_is_no_plain_text_is_not_signed(stage: HufiStage) -> None:
    """A server cannot make a wallet sign another document by a nonce with quotes in it."""
    await stage.session.token()
    stage.sandbox.oracle._entrance._users[stage.wallet].nonce = 'x","to":"thief'
    with pytest.raises(HufiAnswerError):
        await stage.new_session().token()
    assert len(stage.signed) == 1


async def test_a_lost_login_is_unclear_and_can_be_repeated(stage: HufiStage) -> None:
    """The nonce has rotated without us; the next try asks for the new one."""
    stage.sandbox.faults.set(FaultRule(login.LOGIN, FaultKind.LOST))
    with pytest.raises(HufiUnclearError):
        await stage.session.token()
    await stage.session.token()
    assert stage.signed[0] != stage.signed[1]


async def test_leaving_gives_the_tokens_up(stage: HufiStage) -> None:
    """Afterwards the wallet has to sign again; leaving twice is harmless."""
    await stage.session.token()
    await stage.session.leave()
    await stage.session.leave()
    await stage.session.token()
    assert len(stage.signed) == 2


async def test_a_broken_login_is_no_wrong_signature(stage: HufiStage) -> None:
    """500 is unclear, not a reason to doubt the key."""
    stage.sandbox.faults.set(FaultRule(login.LOGIN, FaultKind.BROKEN))
    with pytest.raises(HufiUnclearError):
        await stage.session.token()


def test_secrets_are_not_shown(stage: HufiStage) -> None:
    """Neither tokens nor keys stand in any text that a log could get."""
    shown = repr(
        [
            Tokens("geheim", "geheim"),
            RefreshBody("geheim"),
            KeyBody("mexc", "geheim", "geheim"),
            KeyItem("mexc", "geheim"),
            stage.session,
        ]
    )
    assert "geheim" not in shown
    assert LoginBody("0xaa", "0x").address == "0xaa"


def test_a_wallet_has_an_address() -> None:
    """Something else is refused before anybody is asked."""

    async def sign(text: str) -> str:
        return text

    with pytest.raises(InvalidInputError):
        WalletSigner("vitalik.eth", sign)


async def test_clients_know_whose_they_are(stage: HufiStage) -> None:
    """The wallet stands beside every client."""
    assert RecordingOracleClient(stage.oracle_line, stage.session).wallet == stage.wallet


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.W10.c", "a.eyJleHAiOjk5OTk5OTk5OTl9.c"])
def test_a_token_that_says_nothing_is_good_for_ten_minutes(token: str) -> None:
    """Without times in it a token has the documented life."""
    assert login._life_s(token) == login.ACCESS_S
