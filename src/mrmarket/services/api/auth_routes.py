"""`/api/v1/auth`: who is asking, signing in and signing out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Controller, Response, get, post
from litestar.params import JSONBody

from mrmarket.services.access import siwe
from mrmarket.services.access.access import Access
from mrmarket.services.access.demo import DEMO_WALLETS
from mrmarket.services.access.errors import NotDemoError
from mrmarket.services.access.identity import VISITOR, Identity, Ticket
from mrmarket.services.access.sessions import LIFETIME_MS, csrf_token
from mrmarket.services.access.wallet import NONCE_MS
from mrmarket.services.api import money_schema as money
from mrmarket.services.api.admission import client_address, session_cookie, site_of
from mrmarket.services.api.guards import ANYBODY
from mrmarket.services.api.parameters import Asked, Door


class AuthRoutes(Controller):
    """Sessions."""

    path = "/auth"
    tags: Sequence[str] | None = ("auth",)
    opt = ANYBODY

    @get("/session", operation_id="session", sync_to_thread=False)
    def session(self, request: Asked, access: Door) -> money.SessionView:
        """Who is asking; a page asks this first."""
        return _view(access, request.user, request.auth)

    @get("/nonce", operation_id="nonce", sync_to_thread=False)
    def nonce(self, request: Asked, access: Door) -> money.NonceView:
        """What a wallet is to sign, as EIP-4361 has it."""
        nonce, expires_ms = access.nonce()
        site = site_of(request.scope, access.settings.public_url)
        return money.NonceView(
            nonce=nonce,
            domain=site.domain,
            uri=site.origin,
            chain_id=min(access.settings.chain_ids),
            issued_at=siwe.moment_text(expires_ms - NONCE_MS),
            expires_at=siwe.moment_text(expires_ms),
        )

    @post("/wallet", operation_id="sign_in_wallet", status_code=200)
    async def wallet(
        self, request: Asked, access: Door, data: JSONBody[money.WalletSignIn]
    ) -> Response[money.SessionView]:
        """Sign in with a signed EIP-4361 message."""
        site = site_of(request.scope, access.settings.public_url)
        address = client_address(request.scope)
        ticket = await access.sign_in_wallet(data.message, data.signature, site, address, request.user)
        return _admitted(request, access, ticket)

    @post("/admin", operation_id="sign_in_admin", status_code=200)
    async def admin(
        self, request: Asked, access: Door, data: JSONBody[money.AdminSignIn]
    ) -> Response[money.SessionView]:
        """Sign in as the owner."""
        ticket = await access.sign_in_admin(data.password, client_address(request.scope), request.user)
        return _admitted(request, access, ticket)

    @post("/setup", operation_id="set_up_admin", status_code=200)
    async def setup(
        self, request: Asked, access: Door, data: JSONBody[money.AdminSetup]
    ) -> Response[money.SessionView]:
        """Set the owner's first password with the one-time token, and sign in."""
        address = client_address(request.scope)
        ticket = await access.set_up_admin(data.token, data.password, address, request.user)
        return _admitted(request, access, ticket)

    @post("/logout", operation_id="sign_out", status_code=200)
    async def logout(self, request: Asked, access: Door) -> Response[money.SessionView]:
        """End the session."""
        await access.sign_out(request.user)
        return Response(_view(access, VISITOR, None), headers=_cookie(request, access, None))

    @get("/demo", operation_id="demo_people", sync_to_thread=False)
    def demo(self, access: Door) -> list[money.DemoPerson]:
        """The demo's people; 404 where money is real."""
        if not access.settings.demo:
            raise NotDemoError
        return [money.DemoPerson(name=name, address=address) for name, address in DEMO_WALLETS.items()]

    @post("/demo", operation_id="sign_in_demo", status_code=200)
    async def demo_sign_in(
        self, request: Asked, access: Door, data: JSONBody[money.DemoSignIn]
    ) -> Response[money.SessionView]:
        """Be one of the demo's people: the server signs with their play wallet; 404 where money is real."""
        site = site_of(request.scope, access.settings.public_url)
        ticket = await access.sign_in_demo(data.name, site, client_address(request.scope), request.user)
        return _admitted(request, access, ticket)


def _view(access: Access, identity: Identity, token: str | None) -> money.SessionView:
    return money.SessionView(
        role=identity.role,
        user=identity.user,
        csrf=None if token is None else csrf_token(token),
        expires_at_ms=access.expires_ms(identity),
        admin_needs_setup=access.needs_setup,
        demo=access.settings.demo,
    )


def _admitted(request: Asked, access: Access, ticket: Ticket) -> Response[money.SessionView]:
    return Response(_view(access, ticket.identity, ticket.token), headers=_cookie(request, access, ticket))


def _cookie(request: Asked, access: Access, ticket: Ticket | None) -> dict[str, str]:
    scope: Any = request.scope
    public_url = access.settings.public_url
    text = session_cookie(
        request.headers.get("host", ""),
        ticket.token if ticket else None,
        secure=site_of(scope, public_url).scheme == "https",
        lifetime_s=LIFETIME_MS // 1000,
    )
    return {"set-cookie": text}
