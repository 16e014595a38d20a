"""The owner: the set-up link, the password, the token in the data folder, and wrong guesses."""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from litestar.testing import TestClient

from mrmarket.services.access.access import Access
from mrmarket.services.access.errors import (
    PasswordRefusedError,
    SignInRefusedError,
    TokenRefusedError,
    TooManyRequestsError,
)
from mrmarket.services.access.identity import VISITOR
from mrmarket.services.access.owner_token import FILE, OwnerToken, read_owner_token
from mrmarket.services.access.password import Passwords
from mrmarket.services.access.settings import AccessSettings
from mrmarket.services.logs import configure_logs
from services.doors import PASSWORD, Door, counted

CHEAP = Passwords(memory_kib=64, rounds=1)


@pytest.fixture
def door() -> Door:
    """A fresh door without a password."""
    return Door()


def with_password(door: Door) -> Door:
    """The door, once the owner has a password."""
    door.store.set_password(CHEAP.hash(PASSWORD), 0)
    return door


def guess(browser: TestClient[Any], password: str) -> Any:
    """Try a password."""
    return browser.post("/api/v1/auth/admin", json={"password": password})


def test_the_set_up_link_sets_the_first_password_once(door: Door) -> None:
    """The token works once; afterwards there is a password, no further link, and the owner is in."""
    token = door.access.setup_token()
    with door.client() as browser:
        assert browser.get("/api/v1/auth/session").json()["admin_needs_setup"] is True
        body = {"token": token, "password": PASSWORD}
        first = browser.post("/api/v1/auth/setup", json=body)
        again = browser.post("/api/v1/auth/setup", json=body)
        assert (first.json()["role"], first.json()["admin_needs_setup"]) == ("admin", False)
        assert again.status_code == 401
        assert guess(browser, PASSWORD).status_code == 200
    assert door.access.setup_token() is None


async def test_of_two_who_use_the_link_at_once_one_is_let_in(door: Door) -> None:
    """Both were right when they asked; the link sets one password."""
    token = door.access.setup_token()
    assert token is not None
    tries = (
        door.access.set_up_admin(token, f"{PASSWORD} {number}", "127.0.0.1", VISITOR) for number in range(2)
    )
    came = await asyncio.gather(*tries, return_exceptions=True)
    assert [isinstance(each, SignInRefusedError) for each in came].count(True) == 1


def test_a_set_up_link_lives_an_hour_and_until_the_next(door: Door) -> None:
    """Expired, superseded and made-up tokens are refused; a password that is too easy does not use one up."""
    old, token = door.access.setup_token(), door.access.setup_token()
    with door.client() as browser:

        def use(with_token: str | None, password: str = PASSWORD) -> Any:
            return browser.post("/api/v1/auth/setup", json={"token": with_token, "password": password})

        assert use(old).status_code == 401
        assert use("made up").status_code == 401
        easy = use(token, "short")
        assert (easy.status_code, easy.json()["code"]) == (400, "password_refused")
        door.wait(3600)
        assert use(token).status_code == 401
        assert use(door.access.setup_token()).status_code == 200


def test_only_the_hash_of_a_set_up_link_is_kept(door: Door) -> None:
    """The database does not hold what the terminal printed."""
    token = door.access.setup_token()
    kept = door.store.credential("setup", door.clock.now_ns() // 10**6)
    assert kept is not None
    assert token is not None
    assert token not in kept


def test_without_a_password_nobody_is_the_owner(door: Door) -> None:
    """Every guess is wrong while none is set, the empty one too."""
    with door.client() as browser:
        assert [guess(browser, word).status_code for word in ("", "admin", "nobody's password")] == [401] * 3


def test_wrong_guesses_wait_longer_and_longer(door: Door) -> None:
    """Five are free; then the right password has to wait as well, and a success forgets the failures."""
    with with_password(door).client() as browser:
        assert [guess(browser, "wrong").status_code for _ in range(5)] == [401] * 5
        for wait_s in (1, 2, 4):
            held = guess(browser, PASSWORD)
            assert (held.status_code, held.json()["code"]) == (429, "too_many_requests")
            assert held.headers["retry-after"] == str(wait_s)
            door.wait(wait_s)
            assert guess(browser, "wrong").status_code == 401
        door.wait(8)
        assert guess(browser, PASSWORD).status_code == 200
        assert [guess(browser, "wrong").status_code for _ in range(5)] == [401] * 5


def test_guessing_cannot_lock_the_owner_out_for_long(door: Door) -> None:
    """The wait of the account ends after half a minute, however many guesses were made from elsewhere."""
    access = with_password(door).access

    async def from_many_addresses() -> None:
        for number in range(200):
            with suppress(SignInRefusedError, TooManyRequestsError):
                await access.sign_in_admin("wrong", f"10.0.{number}.1", VISITOR)
            door.wait(5)

    asyncio.run(from_many_addresses())
    door.wait(30)
    with door.client() as browser:
        assert guess(browser, PASSWORD).status_code == 200


def test_guesses_in_parallel_count_too(door: Door) -> None:
    """A hundred guesses at once are five guesses."""
    access = with_password(door).access

    async def at_once() -> list[str]:
        tries = [access.sign_in_admin("wrong", "10.0.0.1", VISITOR) for _ in range(100)]
        return [getattr(done, "code", "in") for done in await asyncio.gather(*tries, return_exceptions=True)]

    codes = asyncio.run(at_once())
    assert (codes.count("sign_in_refused"), codes.count("too_many_requests")) == (5, 95)


def test_a_hash_with_old_parameters_is_renewed(door: Door) -> None:
    """Signing in brings a password to today's cost."""
    door.store.set_password(Passwords(memory_kib=32, rounds=1).hash(PASSWORD), 0)
    with door.client() as browser:
        assert guess(browser, PASSWORD).status_code == 200
    renewed = door.store.credential("password", 0)
    assert renewed is not None
    assert not CHEAP.outdated(renewed)


@pytest.mark.parametrize("password", ["", "short", "a" * 40, "x" * 257, "ababababab"])
def test_an_easy_password_is_refused(password: str) -> None:
    """Too short, too long, or hardly any different characters."""
    with pytest.raises(PasswordRefusedError):
        CHEAP.hash(password)


def test_a_password_is_kept_as_argon2id() -> None:
    """With RFC 9106's parameters by default; a damaged hash fits no password."""
    assert Passwords().hash(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert not CHEAP.check("$argon2id$damaged", PASSWORD)
    assert not CHEAP.check(CHEAP.hash(PASSWORD), PASSWORD * 20)


def test_the_owners_token_is_a_private_file(tmp_path: Path) -> None:
    """0600 whatever was there before, new at every start, gone at the end."""
    (tmp_path / "owner.new").write_text("left behind by a crash")
    (tmp_path / "owner.new").chmod(0o644)
    first = OwnerToken.issue(tmp_path, counted("1"))
    token = read_owner_token(tmp_path)
    second = OwnerToken.issue(tmp_path, counted("2"))
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert token is not None
    assert first.matches(token)
    assert not second.matches(token)
    second.withdraw()
    second.withdraw()
    assert read_owner_token(tmp_path) is None


def test_a_door_of_a_folder_opens_to_who_can_read_it(tmp_path: Path) -> None:
    """`Access.open` writes the token, and withdraws it when it closes."""

    async def live() -> None:
        access = Access.open(tmp_path, AccessSettings())
        token = read_owner_token(tmp_path)
        assert token is not None
        assert access.identify_bearer(token, from_page=False).role == "admin"
        with pytest.raises(TokenRefusedError):
            access.identify_bearer(token, from_page=True)
        access.upkeep()
        await access.close()
        await access.close()

    asyncio.run(live())
    assert read_owner_token(tmp_path) is None
    assert stat.S_IMODE((tmp_path / "control.db").stat().st_mode) == 0o600


def test_a_door_without_a_token_opens_to_none(door: Door) -> None:
    """An instance in memory has no owner's token to guess."""
    with pytest.raises(TokenRefusedError):
        Access.ephemeral().identify_bearer("", from_page=False)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Real logging into a fresh folder, down to the last detail."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    configure_logs(tmp_path)
    root.setLevel(logging.DEBUG)
    yield tmp_path / "mrmarket.log"
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = before, level
    structlog.reset_defaults()


def test_no_secret_reaches_the_log(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Passwords, tokens, cookies, signatures and CSRF tokens: tried right and wrong, none is written."""
    door = Door()
    setup = door.access.setup_token()
    wrong = "wrong-password-9531"
    with door.client() as browser:
        first = browser.post("/api/v1/auth/setup", json={"token": "wrong-token-9531", "password": wrong})
        admin = browser.post("/api/v1/auth/setup", json={"token": setup, "password": PASSWORD})
        guess(browser, wrong)
        user = browser.post("/api/v1/auth/demo", json={"name": "alice"})
        signed = "0x" + "ab" * 64 + "1b"
        browser.post("/api/v1/auth/wallet", json={"message": "m" * 40, "signature": signed})
        browser.get("/api/v1/instance", headers={"Authorization": "Bearer wrong-bearer-9531"})
        browser.post("/api/v1/auth/logout", headers={"X-CSRF-Token": user.json()["csrf"]})
    screen = capsys.readouterr()
    text = log.read_text() + screen.out + screen.err
    assert first.status_code == 401
    assert text.count("sign-in refused") == 3
    cookies = [answer.headers["set-cookie"].partition("=")[2].partition(";")[0] for answer in (admin, user)]
    secrets = [setup, PASSWORD, wrong, signed, *cookies, admin.json()["csrf"], user.json()["csrf"], "9531"]
    assert [secret for secret in secrets if secret and secret in text] == []
