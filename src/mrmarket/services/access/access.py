"""The door of an instance: everything about who is asking, behind one object."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

import structlog

from mrmarket.core.clock import NS_PER_MS, Clock, SystemClock
from mrmarket.services.access import siwe
from mrmarket.services.access.attempts import Attempts
from mrmarket.services.access.buckets import address_key
from mrmarket.services.access.demo import DEMO_WALLETS, demo_name, demo_signature
from mrmarket.services.access.errors import NotDemoError, SignInRefusedError, TokenRefusedError
from mrmarket.services.access.identity import OWNER, VISITOR, Identity, Site, Ticket
from mrmarket.services.access.limits import Limits
from mrmarket.services.access.owner_token import OwnerToken
from mrmarket.services.access.password import Passwords
from mrmarket.services.access.repository import ControlStore
from mrmarket.services.access.secrets import digest_of, new_token
from mrmarket.services.access.sessions import Sessions
from mrmarket.services.access.settings import AccessSettings
from mrmarket.services.access.wallet import Nonces, WalletCheck
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.errors import StoreError

T = TypeVar("T")
Entropy = Callable[[int], bytes]

SETUP_MS: Final = 3_600_000
"""How long the link that sets the first password may be used."""

_ACCOUNT: Final = "account:admin"
_LONGEST_BY_ADDRESS_S: Final = 900
_LONGEST_BY_ACCOUNT_S: Final = 30

_log = structlog.get_logger("mrmarket.access")


class Access:
    """Sessions, sign-in and limits of one instance.

    What hashes, signs or writes happens on one worker thread: it never holds up trading, and a flood of
    sign-ins waits in its own queue.
    """

    def __init__(
        self,
        store: ControlStore,
        settings: AccessSettings,
        *,
        owner: OwnerToken | None = None,
        clock: Clock | None = None,
        entropy: Entropy = secrets.token_bytes,
        passwords: Passwords | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.limits = Limits(self.clock, settings.rates)
        self._store = store
        self._owner = owner
        self._entropy = entropy
        self._passwords = passwords or Passwords()
        self._sessions = Sessions(store, self.clock, entropy)
        self._nonces = Nonces(self.clock, entropy)
        self._wallets = WalletCheck(self.clock, self._nonces, settings.chain_ids)
        self._by_address = Attempts(self.clock, _LONGEST_BY_ADDRESS_S)
        self._by_account = Attempts(self.clock, _LONGEST_BY_ACCOUNT_S)
        self._has_password = False
        self._worker = ThreadPoolExecutor(1, "mrmarket-access")
        self._keeping: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    def open(cls, folder: Path, settings: AccessSettings, address: StoreAddress | None = None) -> Self:
        """The door of the instance that keeps its data in a folder; writes a new owner's token there.

        Args:
            folder: the data folder.
            settings: who may sign in.
            address: where sessions and credentials are; left out: `control.db` in the folder.

        Raises:
            StoreError: `control.db` cannot be used.
        """
        store = ControlStore((address or StoreAddress(folder)).open_control())
        return cls(store, settings, owner=OwnerToken.issue(folder, secrets.token_bytes))

    @classmethod
    def ephemeral(cls, settings: AccessSettings | None = None, **parts: Any) -> Self:
        """A door that forgets everybody when it closes; nobody but demo people can sign in."""
        return cls(ControlStore.in_memory(), settings or AccessSettings(demo=True, open_desk=True), **parts)

    # Who is asking; on the event loop, for every request.

    def identify(self, token: str) -> Identity:
        """Whose session it is; a visitor's if it is nobody's any more."""
        return self._sessions.find(token) or VISITOR

    def identify_bearer(self, token: str, *, from_page: bool) -> Identity:
        """The owner at their own command line.

        Raises:
            TokenRefusedError: another token, or a web page sends it: pages have sessions.
        """
        if from_page or self._owner is None or not self._owner.matches(token):
            raise TokenRefusedError
        return OWNER

    def alive(self, identity: Identity) -> bool:
        """Whether a session has neither ended nor expired since it was identified."""
        return identity.session is None or self._sessions.expires_ms(identity) is not None

    def expires_ms(self, identity: Identity) -> int | None:
        """When the session ends if nothing more is asked with it."""
        return self._sessions.expires_ms(identity)

    @property
    def needs_setup(self) -> bool:
        """Whether the owner has no password yet."""
        # Looked up until there is one: the command line may set it meanwhile.
        if not self._has_password:
            self._has_password = self._store.credential("password", self._now_ms()) is not None
        return not self._has_password

    def upkeep(self) -> None:
        """Let the worker write down who was here, if it is time."""
        if self._sessions.keep_due and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.get_running_loop().create_task(self._keep())

    # Signing in and out.

    def nonce(self) -> tuple[str, int]:
        """(a number for a wallet to sign, when it expires as UTC ms)."""
        return self._nonces.issue()

    async def sign_in_wallet(
        self, text: str, signature: str, site: Site, address: str, replaces: Identity
    ) -> Ticket:
        """Open a user's session for whoever signed this message.

        Args:
            text: the EIP-4361 message.
            signature: 0x and 65 bytes in hex.
            site: the address under which the browser sees us.
            address: where the request comes from.
            replaces: who the browser was so far; that session ends.

        Raises:
            SignInRefusedError: with what to do.
            TooManyRequestsError: after too many wrong ones from this address.
        """
        with self._attempt(address, "wallet"):
            signer = await self._work(self._wallets.signer, text, signature, site)
        known = demo_name(signer) if self.settings.demo else None
        return await self._admit("user", known or signer.lower(), replaces, address)

    async def sign_in_demo(self, name: str, site: Site, address: str, replaces: Identity) -> Ticket:
        """Sign for one of the demo's people, and check that like any other wallet's signature.

        Raises:
            NotDemoError: the money is real, or there is no such person.
        """
        if not self.settings.demo or name not in DEMO_WALLETS:
            raise NotDemoError
        nonce, expires_ms = self.nonce()
        text = siwe.SignInMessage(
            scheme=site.scheme,
            domain=site.domain,
            address=DEMO_WALLETS[name],
            statement="Sign in to the demo.",
            uri=site.origin,
            chain_id=min(self.settings.chain_ids),
            nonce=nonce,
            issued_at=siwe.moment_text(self._now_ms()),
            expiration_time=siwe.moment_text(expires_ms),
        ).text()
        signature = await self._work(demo_signature, name, text)
        return await self.sign_in_wallet(text, signature, site, address, replaces)

    async def sign_in_admin(self, password: str, address: str, replaces: Identity) -> Ticket:
        """Open the owner's session.

        Raises:
            SignInRefusedError: it is not the password, or none is set.
            TooManyRequestsError: after too many wrong ones.
        """
        with self._attempt(address, "password", _ACCOUNT):
            hashed = await self._work(self._store.credential, "password", self._now_ms())
            if not await self._work(self._passwords.check, hashed, password):
                raise SignInRefusedError(
                    "that is not the owner's password; mrmarket admin password sets a new one"
                )
        if hashed is not None and self._passwords.outdated(hashed):
            renewed = await self._work(self._passwords.hash, password)
            await self._work(self._store.put_credential, "password", renewed, self._now_ms())
        return await self._admit("admin", None, replaces, address)

    def setup_token(self) -> str | None:
        """A new one-time token for the first password, instead of any before it; None once one is set."""
        if not self.needs_setup:
            return None
        token, now_ms = new_token(self._entropy), self._now_ms()
        self._store.put_credential("setup", digest_of(token), now_ms, now_ms + SETUP_MS)
        return token

    async def set_up_admin(self, token: str, password: str, address: str, replaces: Identity) -> Ticket:
        """Set the first password and open the owner's session.

        Raises:
            PasswordRefusedError: and the token can still be used.
            SignInRefusedError: the token is wrong, used or expired.
        """
        with self._attempt(address, "set-up link", _ACCOUNT):
            kept = await self._work(self._store.credential, "setup", self._now_ms())
            if kept is None or not hmac.compare_digest(kept, digest_of(token)):
                raise _setup_refused()
        hashed = await self._work(self._passwords.hash, password)
        if not await self._work(self._store.take_setup, digest_of(token), hashed, self._now_ms()):
            raise _setup_refused()
        _log.info("the owner's password was set", address=address)
        return await self._admit("admin", None, replaces, address)

    async def sign_out(self, identity: Identity) -> None:
        """End a session; without one there is nothing to do."""
        if identity.session is not None:
            await self._work(self._sessions.end, identity.session)
            _log.info("signed out", role=identity.role, user=identity.user)

    async def close(self) -> None:
        """Write down who was here, and withdraw the owner's token; closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        if self._keeping is not None:
            await self._keeping
        await self._keep()
        self._worker.shutdown()
        self._store.close()
        if self._owner is not None:
            self._owner.withdraw()

    # How.

    async def _admit(
        self, role: Literal["user", "admin"], user: str | None, replaces: Identity, address: str
    ) -> Ticket:
        ticket = await self._work(self._sessions.open, role, user, replaces.session)
        _log.info("signed in", role=role, user=user, address=address)
        return ticket

    @contextmanager
    def _attempt(self, address: str, what: str, account: str | None = None) -> Iterator[None]:
        """Count a guess before it is looked at, and forget it if it was right."""
        counted = [(self._by_address, f"{what} {address_key(address)}")]
        if account is not None:
            counted.append((self._by_account, account))
        for attempts, key in counted:
            attempts.require(key)
        for attempts, key in counted:
            attempts.begin(key)
        try:
            yield
        except SignInRefusedError as refused:
            _log.warning("sign-in refused", what=what, address=address, code=refused.code)
            raise
        for attempts, key in counted:
            attempts.succeeded(key)

    async def _keep(self) -> None:
        try:
            await self._work(self._sessions.keep)
        except StoreError as error:
            # Only "last seen" is lost; the next turn tries again.
            _log.warning("sessions were not written down", code=error.code)

    async def _work(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *arguments)

    def _now_ms(self) -> int:
        return self.clock.now_ns() // NS_PER_MS


def _setup_refused() -> SignInRefusedError:
    return SignInRefusedError(
        "this set-up link is wrong, used or older than an hour; restart, or run: mrmarket admin password"
    )
