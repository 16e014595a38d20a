"""What each request to the rail does: a body or query in, an answer out. Knows no socket."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from mrmarket.core.decimals import format_units, parse_units
from mrmarket.core.errors import InvalidInputError, MrMarketError
from mrmarket.services.rail.address import canonical_address
from mrmarket.services.rail.config import VenueLink
from mrmarket.services.rail.errors import (
    BadAmountError,
    BadDestinationError,
    BadRequestError,
    NoSuchEndpointError,
    UnauthorizedError,
    UnknownAssetError,
)
from mrmarket.services.rail.faults import FaultDice, RailFaults
from mrmarket.services.rail.messages import (
    FundBody,
    IncomingAnswer,
    InstructionsAnswer,
    PayBody,
    RailEndpoints,
    SendAnswer,
    SendBody,
    WalletAnswer,
    WalletPayment,
    incoming_item,
    send_answer,
)
from mrmarket.services.rail.payment import Payment
from mrmarket.services.rail.world import World

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_UNITS: Final = re.compile(r"[0-9]{1,39}", re.ASCII)
_MAX_PAGE: Final = 500
_HISTORY: Final = 50

Body = TypeVar("Body")
Query = Mapping[str, str]


class Requests:
    """Every endpoint of both sides, and who may call it."""

    def __init__(self, world: World, dice: FaultDice, token: str, wallet_token: str) -> None:
        """`token` opens the platform's side, `wallet_token` the wallets'."""
        self._world = world
        self._dice = dice
        self._tokens = {"platform": token, "wallets": wallet_token}
        platform: dict[tuple[str, str], Callable[[str, Query, bytes], Any]] = {
            ("GET", "/v1/rail"): self._about,
            ("GET", "/v1/instructions"): self._instructions,
            ("GET", "/v1/incoming"): self._incoming,
            ("GET", "/v1/balances"): self._balances,
            ("POST", "/v1/sends"): self._send,
            ("GET", "/v1/sends/*"): self._find_send,
            ("POST", "/v1/withdrawals"): self._withdraw,
            ("GET", "/v1/withdrawals/*"): self._find_withdrawal,
            ("PUT", "/v1/venue"): self._link_venue,
            ("GET", "/v1/faults"): self._show_faults,
            ("PUT", "/v1/faults"): self._set_faults,
        }
        wallets: dict[tuple[str, str], Callable[[str, Query, bytes], Any]] = {
            ("GET", "/v1/wallets/*"): self._wallet,
            ("POST", "/v1/wallets/*/faucet"): self._fund,
            ("POST", "/v1/wallets/*/payments"): self._pay,
        }
        self._routes = {route: ("platform", handler) for route, handler in platform.items()} | {
            route: ("wallets", handler) for route, handler in wallets.items()
        }

    def name(self, method: str, path: str) -> str:
        """What a request is called by fault rules: `POST /v1/sends`, `GET /v1/sends/*`."""
        return f"{method} {_shape(path)[0]}"

    def answer(self, method: str, path: str, query: Query, body: bytes, authorization: str) -> Any:
        """Carry a request out; gives what is written as JSON.

        Raises:
            WorldRefusal: nothing was changed.
        """
        shape, subject = _shape(path)
        route = self._routes.get((method, shape))
        if route is None:
            raise NoSuchEndpointError(f"there is no {method} {path[:100]}")
        side, handler = route
        given = authorization.removeprefix("Bearer ").encode("utf-8", "replace")
        if not hmac.compare_digest(self._tokens[side].encode(), given):
            raise UnauthorizedError
        return handler(subject, query, body)

    # The platform's side.

    def about(self, url: str) -> RailEndpoints:
        """Everything that a client must know."""
        config = self._world.config
        return RailEndpoints(
            url=url,
            token=self._tokens["platform"],
            wallet_token=self._tokens["wallets"],
            name=config.name,
            treasury=self._world.treasury,
            assets=[asset for asset in config.assets if asset.listed],
            settle_ms=config.settle_ms,
            required=config.required,
        )

    def _about(self, _subject: str, _query: Query, _body: bytes) -> RailEndpoints:
        told = self.about("")
        return msgspec.structs.replace(told, token="", wallet_token="")  # nosec B106 # takes them out

    def _instructions(self, _subject: str, query: Query, _body: bytes) -> InstructionsAnswer:
        memo, treasury = query.get("memo", ""), self._world.treasury
        uri = f"{self._world.config.name}:{treasury}" + (f"?memo={quote(memo, safe='')}" if memo else "")
        return InstructionsAnswer(address=treasury, memo=memo, uri=uri)

    def _incoming(self, _subject: str, query: Query, _body: bytes) -> IncomingAnswer:
        text = query.get("limit", "100")
        if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= _MAX_PAGE):
            raise BadRequestError(f"limit: {text[:40]!r} was refused; give 1 to {_MAX_PAGE}")
        entries, next_cursor = self._world.incoming(query.get("cursor", ""), int(text))
        return IncomingAnswer(updates=[incoming_item(entry) for entry in entries], next_cursor=next_cursor)

    def _balances(self, _subject: str, _query: Query, _body: bytes) -> dict[str, str]:
        held = self._world.balances(self._world.treasury)
        return {code: str(units) for code, units in held.items() if self._world.assets[code].listed}

    def _send(self, _subject: str, _query: Query, body: bytes) -> SendAnswer:
        wanted = _read(body, SendBody)
        payment = self._world.send(
            _key(wanted.key), wanted.destination, wanted.asset, _units(wanted.units), wanted.memo
        )
        return send_answer(payment)

    def _find_send(self, key: str, _query: Query, _body: bytes) -> SendAnswer:
        return send_answer(self._world.find(f"send:{_key(key)}"))

    def _withdraw(self, _subject: str, _query: Query, body: bytes) -> SendAnswer:
        wanted = _read(body, SendBody)
        payment = self._world.withdraw(
            _key(wanted.key), wanted.destination, wanted.asset, _units(wanted.units), wanted.memo
        )
        return send_answer(payment)

    def _find_withdrawal(self, key: str, _query: Query, _body: bytes) -> SendAnswer:
        return send_answer(self._world.find(f"withdraw:{_key(key)}"))

    def _link_venue(self, _subject: str, _query: Query, body: bytes) -> dict[str, str]:
        link = _read(body, VenueLink)
        self._world.link_venue(link)
        return {"destination": f"venue:{link.account}"}

    def _show_faults(self, _subject: str, _query: Query, _body: bytes) -> Any:
        return self._dice.report()

    def _set_faults(self, _subject: str, _query: Query, body: bytes) -> Any:
        self._dice.reset(_read(body, RailFaults), self._world.now_ms())
        return self._dice.report()

    # The wallets' side.

    def _wallet(self, address: str, _query: Query, _body: bytes) -> WalletAnswer:
        known = canonical_address(address)
        if known is None:
            raise BadDestinationError(address, "0x and 40 hex digits with a right check sum")
        held = self._world.balances(known)
        return WalletAnswer(
            address=known,
            balances={code: self._text(code, units) for code, units in held.items()},
            payments=[self._seen(payment) for payment in self._world.history(known, _HISTORY)],
        )

    def _fund(self, address: str, _query: Query, body: bytes) -> WalletPayment:
        wanted = _read(body, FundBody)
        units = self._parsed(wanted.asset, wanted.amount)
        return self._seen(self._world.fund(address, _key(wanted.key), wanted.asset, units))

    def _pay(self, address: str, _query: Query, body: bytes) -> WalletPayment:
        wanted = _read(body, PayBody)
        units = self._parsed(wanted.asset, wanted.amount)
        key = _key(wanted.key)
        return self._seen(self._world.pay(address, key, wanted.destination, wanted.asset, units, wanted.memo))

    def _parsed(self, code: str, amount: str) -> int:
        asset = self._world.assets.get(code)
        if asset is None:
            raise UnknownAssetError(code, list(self._world.assets))
        try:
            return parse_units(amount, asset.decimals)
        except InvalidInputError as refused:
            raise BadAmountError(str(refused)) from refused

    def _text(self, code: str, units: int) -> str:
        return format_units(units, self._world.assets[code].decimals)

    def _seen(self, payment: Payment) -> WalletPayment:
        return WalletPayment(
            id=payment.id,
            kind=payment.kind,
            sender=payment.sender,
            destination=payment.destination,
            asset=payment.asset,
            amount=self._text(payment.asset, payment.units),
            fee=self._text(payment.asset, payment.fee),
            memo=payment.memo,
            stage=payment.stage,
            confirmations=payment.confirmations,
            required=payment.required,
            reason=payment.reason,
            created_ms=payment.created_ms,
            changed_ms=payment.changed_ms,
        )


def _shape(path: str) -> tuple[str, str]:
    """(`/v1/wallets/*/faucet`, the part that the star stands for)."""
    parts = path.split("/")
    if len(parts) > 3:  # noqa: PLR2004 - "", version, noun, subject
        subject, parts[3] = parts[3], "*"
        return "/".join(parts), subject
    return path, ""


def _read(body: bytes, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, MrMarketError, UnicodeError, RecursionError) as broken:
        raise BadRequestError(f"the body was refused ({broken}); see the rail's messages") from broken


def _key(text: str) -> str:
    if not _KEY.fullmatch(text):
        raise BadRequestError(f"key: {text[:40]!r} was refused; give 1 to 80 letters, digits, _ or -")
    return text


def _units(text: str) -> int:
    if not _UNITS.fullmatch(text):
        raise BadAmountError(f"units: {text[:40]!r} was refused; give base units in digits only")
    return int(text)
