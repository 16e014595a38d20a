"""Market stream connections: `/ws/<stream>`, `/stream?streams=`, and the messages that change them.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from mrmarket.trading.venue.front.hub import Hub
from mrmarket.trading.venue.front.outbox import Outbox
from mrmarket.trading.venue.front.streams import Stream, parse_stream

_MAX_STREAMS: Final = 1_024
_UNKNOWN_PROPERTY: Final = 0
_INVALID_VALUE: Final = 1
_INVALID_REQUEST: Final = 2
_INVALID_JSON: Final = 3

RequestId = int | str | None


class _BadRequestError(Exception):
    """A control message that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


class StreamSession:
    """One connection's subscriptions and its replies. Knows no socket."""

    def __init__(self, hub: Hub, outbox: Outbox, symbols: frozenset[str], *, combined: bool) -> None:
        self._hub = hub
        self._outbox = outbox
        self._symbols = symbols
        self._combined = combined
        self._streams: dict[str, Stream] = {}

    def open(self, names: Iterable[str]) -> None:
        """Subscribe to the streams named in the address; as on Binance, unknown ones stay silent."""
        for name in names:
            stream = self._known(unquote(name))
            if stream is not None:
                self._add(stream)

    def close(self) -> None:
        """Leave every stream."""
        for stream in self._streams.values():
            self._hub.unsubscribe(self, stream)
        self._streams.clear()

    def send(self, stream: Stream, data: bytes) -> None:
        """Queue one message of a stream."""
        if self._combined:
            data = b'{"stream":"%s","data":%s}' % (stream.name.encode(), data)
        self._outbox.put(data, name=stream.name, conflate=stream.conflatable)

    def receive(self, text: str | bytes) -> None:
        """Act on a control message and queue its reply."""
        request_id: RequestId = None
        try:
            message = _decode(text)
            request_id = _request_id(message)
            result = self._act(message)
        except _BadRequestError as refused:
            reply: dict[str, Any] = {
                "error": {"code": refused.code, "msg": refused.message},
                "id": request_id,
            }
        else:
            reply = {"result": result, "id": request_id}
        self._outbox.put(msgspec.json.encode(reply), name="reply")

    def _act(self, message: dict[str, Any]) -> Any:
        method, params = message.get("method"), message.get("params", [])
        match method:
            case "SUBSCRIBE":
                for stream in [self._wanted(name) for name in _names(params)]:
                    self._add(stream)
                return None
            case "UNSUBSCRIBE":
                for name in _names(params):
                    left = self._streams.pop(name, None)
                    if left is not None:
                        self._hub.unsubscribe(self, left)
                return None
            case "LIST_SUBSCRIPTIONS":
                return list(self._streams)
            case "SET_PROPERTY" | "GET_PROPERTY":
                return self._property(method, params)
            case _:
                raise _BadRequestError(_INVALID_REQUEST, f"Invalid request: unknown method {method!r}")

    def _property(self, method: str, params: Any) -> Any:
        name = params[0] if isinstance(params, list) and params else None
        if name != "combined":
            raise _BadRequestError(_UNKNOWN_PROPERTY, "Unknown property")
        if method == "GET_PROPERTY":
            return self._combined
        if len(params) != 2 or not isinstance(params[1], bool):  # noqa: PLR2004 - a name and its value
            raise _BadRequestError(_INVALID_VALUE, "Invalid value type: expected Boolean")
        self._combined = params[1]
        return None

    def _wanted(self, name: str) -> Stream:
        stream = self._known(name)
        if stream is None:
            raise _BadRequestError(_INVALID_REQUEST, f"Invalid request: invalid stream {name!r}")
        if len(self._streams) >= _MAX_STREAMS:
            raise _BadRequestError(_INVALID_REQUEST, f"Invalid request: more than {_MAX_STREAMS} streams")
        return stream

    def _known(self, name: str) -> Stream | None:
        stream = parse_stream(name)
        if stream is None or (stream.symbol and stream.symbol not in self._symbols):
            return None
        return stream

    def _add(self, stream: Stream) -> None:
        if stream.name not in self._streams:
            self._streams[stream.name] = stream
            self._hub.subscribe(self, stream)


def stream_names(path: str, streams: str) -> tuple[bool, list[str]]:
    """Whether an address wants combined messages, and the streams it names.

    `/stream?streams=a/b` is combined; `/ws`, `/ws/a/b` and any other path are raw. Clients append
    names or numbers of their own to the base they were given, so what is no stream's name is passed
    over.
    """
    segments = [segment for segment in path.split("/") if segment]
    combined = bool(segments) and segments[-1] == "stream"
    names = streams.split("/") if combined else [segment for segment in segments if "@" in unquote(segment)]
    return combined, [name for name in names if name]


def _decode(text: str | bytes) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as broken:
        raise _BadRequestError(_INVALID_JSON, f"Invalid JSON: {broken}") from broken
    if not isinstance(message, dict):
        raise _BadRequestError(_INVALID_REQUEST, "Invalid request: request must be an object")
    return message


def _request_id(message: dict[str, Any]) -> RequestId:
    request_id = message.get("id")
    if request_id is not None and type(request_id) not in (int, str):
        raise _BadRequestError(_INVALID_REQUEST, "Invalid request: request ID must be an integer or a string")
    return request_id


def _names(params: Any) -> list[str]:
    if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
        raise _BadRequestError(_INVALID_REQUEST, "Invalid request: params must be an array of strings")
    return params
