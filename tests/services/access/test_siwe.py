"""The EIP-4361 grammar: what is read is written back to the byte, everything else is refused."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mrmarket.services.access import siwe
from mrmarket.services.access.siwe import MessageRefusedError, SignInMessage, moment_ms, moment_text, parse

ADDRESS = "0x1B15d6fC92708c50E6f828EEA0f3781948D61272"
MINIMAL = SignInMessage(
    scheme=None,
    domain="example.com",
    address=ADDRESS,
    statement=None,
    uri="https://example.com/login",
    chain_id=1,
    nonce="32891756abc",
    issued_at="2021-09-30T16:25:24Z",
)

UNRESERVED = string.ascii_letters + string.digits + "-._~"
RESERVED = ":/?#[]@!$&'()*+,;="
times = st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1)).map(lambda at: f"{at:%Y-%m-%dT%H:%M:%S}Z")  # noqa: DTZ001 - naive bounds of a strategy
uris = st.text(UNRESERVED + RESERVED, max_size=40).map("https:{}".format)
messages = st.builds(
    SignInMessage,
    scheme=st.none() | st.sampled_from(["http", "https", "web+x"]),
    domain=st.sampled_from(["example.com", "127.0.0.1:8080", "[::1]:80", "localhost"]),
    address=st.text("0123456789abcdefABCDEF", min_size=40, max_size=40).map("0x{}".format),
    statement=st.none() | st.text(UNRESERVED + RESERVED + " ", min_size=1, max_size=80),
    uri=uris,
    chain_id=st.integers(0, 10**17),
    nonce=st.text(string.ascii_letters + string.digits, min_size=8, max_size=64),
    issued_at=times,
    expiration_time=st.none() | times,
    not_before=st.none() | times,
    request_id=st.none() | st.text(UNRESERVED + "@:%20"[:2], max_size=20),
    resources=st.none() | st.lists(uris, max_size=3).map(tuple),
)


@given(messages)
@example(MINIMAL)
def test_every_message_is_read_back_as_it_was_written(message: SignInMessage) -> None:
    """Writing and reading are inverse, for every mixture of optional fields."""
    assert parse(message.text()) == message


@given(st.text(max_size=300) | st.text("0x \n:-[]URI" + ADDRESS, max_size=200))
def test_any_text_is_read_exactly_or_refused(text: str) -> None:
    """The reader raises nothing but its own refusal, and what it accepts it can write back to the byte."""
    try:
        message = parse(text)
    except MessageRefusedError:
        return
    assert message.text() == text


@given(messages, st.data())
def test_a_message_with_one_edit_is_another_message_or_none(
    message: SignInMessage, data: st.DataObject
) -> None:
    """Whatever character is changed, dropped or put in: it is refused, or read as what it then says."""
    text = message.text()
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.sampled_from(["", "\n", "\r", " ", "\x00", "é", "0", "A", ":", "\u2028"]))
    edited = text[:at] + put + text[at + data.draw(st.integers(0, 1)) :]
    try:
        read = parse(edited)
    except MessageRefusedError:
        return
    assert read.text() == edited


@pytest.mark.parametrize(
    ("find", "put", "part"),
    [
        ("example.com wants", "exa mple.com wants", "domain"),
        ("example.com wants", "1http://example.com wants", "scheme"),
        ("wants you", "wanted you", "first line"),
        (ADDRESS, ADDRESS[:-1], "address"),
        (ADDRESS, ADDRESS.replace("0x", "0X"), "address"),
        ("\n\n\nURI", "\n\nURI", "no empty line after the statement"),
        ("\n\n\nURI", "\n\na\nURI", "no empty line after the statement"),
        ("\n\n\nURI", "\n\na\nb\n\nURI", "no empty line after the statement"),
        ("\n\n\nURI", '\n\nwith "quotes"\n\nURI', "statement"),
        ("URI: https", "URI: 1https", "URI"),
        ("URI: ", "Uri: ", "URI"),
        ("Version: 1", "Version: 2", "Version"),
        ("Version: 1", "Version: 1\nVersion: 1", "Chain ID"),
        ("Chain ID: 1", "Chain ID: 01", "Chain ID"),
        ("Chain ID: 1", "Chain ID: -1", "Chain ID"),
        ("Chain ID: 1", "Chain ID: \u0661", "Chain ID"),
        ("Nonce: 32891756abc", "Nonce: short", "Nonce"),
        ("Nonce: 32891756abc", "Nonce: 32891756-abc", "Nonce"),
        ("T16:25:24Z", "T16:25:24", "Issued At"),
        ("2021-09-30T", "2021-09-31T", "time"),
        ("T16:25:24Z", "T16:25:60Z", "time"),
        ("T16:25:24Z", "T16:25:24+24:00", "time"),
        ("T16:25:24Z", "T16:25:24Z ", "Issued At"),
        ("T16:25:24Z", "T16:25:24Z\n", "something after the last field"),
        ("T16:25:24Z", "T16:25:24Z\nNot Before: 2021-09-30T16:25:24Z\nExpiration Time: x", "something after"),
        ("T16:25:24Z", "T16:25:24Z\nRequest ID: a b", "Request ID"),
        ("T16:25:24Z", "T16:25:24Z\nResources:\n* https://a", "something after"),
        ("T16:25:24Z", "T16:25:24Z\nResources:\n- no uri", "resource"),
        ("\n", "\r\n", "first line"),
    ],
)  # fmt: skip
def test_a_departure_from_the_grammar_is_named(find: str, put: str, part: str) -> None:
    """Each part of the message is checked, and the refusal says which one is at fault."""
    text = MINIMAL.text()
    assert find in text
    with pytest.raises(MessageRefusedError) as refused:
        parse(text.replace(find, put))
    assert refused.value.part.startswith(part)


@pytest.mark.parametrize("kept", range(len(MINIMAL.text().split("\n"))))
def test_a_message_that_ends_early_is_refused(kept: int) -> None:
    """Cut after any line, it is no message."""
    with pytest.raises(MessageRefusedError):
        parse("\n".join(MINIMAL.text().split("\n")[:kept]))


def test_an_endless_message_is_refused() -> None:
    """More than 4096 characters are not even looked at."""
    with pytest.raises(MessageRefusedError, match="4096"):
        parse(MINIMAL.text() + "a" * siwe.LONGEST)


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001 - naive bounds of a strategy
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.integers(0, 999),
)
def test_times_are_understood_as_the_standard_library_does(at: datetime, offset_min: int, ms: int) -> None:
    """Any offset and any fraction: the same moment."""
    zone = timezone(timedelta(minutes=offset_min))
    sign, off = "-" if offset_min < 0 else "+", abs(offset_min)
    text = (
        f"{at.replace(microsecond=0, tzinfo=None).isoformat()}.{ms:03}999{sign}{off // 60:02}:{off % 60:02}"
    )
    since = at.replace(microsecond=0, tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)
    assert moment_ms(text) == since // timedelta(seconds=1) * 1000 + ms


@given(st.integers(0, 253_402_300_799_999))
def test_a_moment_is_written_so_that_it_reads_the_same(at_ms: int) -> None:
    """What we tell wallets to sign is read as the moment we meant."""
    assert moment_ms(moment_text(at_ms)) == at_ms
