"""Webhook and Telegram against a server that fails as servers do."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket

import pytest

from mrmarket.core.clock import ManualClock
from mrmarket.core.notice import Notice, Severity
from mrmarket.services.notify import webhook as webhook_module
from mrmarket.services.notify.configured import open_ways
from mrmarket.services.notify.delivery import DeliveryError, NotifyConfigError, notice_id
from mrmarket.services.notify.section import NotifySection
from mrmarket.services.notify.telegram import Telegram
from mrmarket.services.notify.webhook import SIGNATURE, Webhook, sign
from services.notify.mailbox import Answer, Mailbox

NOTICE = Notice(
    key="run.a.failed",
    kind="run",
    severity=Severity.CRITICAL,
    title="run a failed",
    text="Look.",
    at_ms=1_700_000_000_000,
)
SECRET = "webhook-secret"
TOKEN = "123456:ABCdef_-0123456789abcdefghijkl"


def webhook(mailbox: Mailbox, path: str = "/hook?key=abc") -> Webhook:
    """A way to the mailbox."""
    return Webhook(mailbox.url + path, SECRET, "My pool", ManualClock())


async def test_a_webhook_gets_a_signed_object(mailbox: Mailbox) -> None:
    """The body says all of the notice; the signature covers the time and exactly these bytes."""
    way = webhook(mailbox)
    await way.send(NOTICE)
    await way.close()
    (letter,) = mailbox.letters
    told = json.loads(letter.body)
    assert told == {
        "id": notice_id(NOTICE), "instance": "My pool", "key": "run.a.failed", "kind": "run",
        "severity": "critical", "title": "run a failed", "text": "Look.", "at_ms": 1_700_000_000_000,
    }  # fmt: skip
    stamp, digest = (part.partition("=")[2] for part in letter.headers[SIGNATURE].split(","))
    wanted = hmac.new(SECRET.encode(), f"{stamp}.".encode() + letter.body, hashlib.sha256).hexdigest()
    assert digest == wanted
    assert int(stamp) == ManualClock().now_ns() // 10**9
    assert letter.headers["Idempotency-Key"] == told["id"]


def test_each_part_of_a_message_changes_its_signature() -> None:
    """Neither time, nor body, nor secret can be swapped."""
    assert len({sign("a", 1, b"x"), sign("b", 1, b"x"), sign("a", 2, b"x"), sign("a", 1, b"y")}) == 4


@pytest.mark.parametrize(
    ("answer", "may_retry", "after_s"),
    [
        (Answer(500), True, 0),
        (Answer(503, {"Retry-After": "7"}), True, 7),
        (Answer(429, {"Retry-After": "3"}), True, 3),
        (Answer(429, body=b'{"ok":false,"parameters":{"retry_after":11}}'), True, 11),
        (Answer(429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), True, 0),
        (Answer(408), True, 0),
        (Answer(400), False, 0),
        (Answer(401), False, 0),
        (Answer(404), False, 0),
        (Answer(302, {"Location": "http://127.0.0.1:1/"}), False, 0),
    ],
)
async def test_what_a_server_answers_decides_whether_to_try_again(
    mailbox: Mailbox, answer: Answer, may_retry: bool, after_s: float
) -> None:
    """Trouble that passes is tried again, when the server says; a refusal is not, a redirect not followed."""
    mailbox.script.append(answer)
    way = webhook(mailbox)
    with pytest.raises(DeliveryError) as refused:
        await way.send(NOTICE)
    await way.close()
    assert (refused.value.may_retry, refused.value.retry_after_s) == (may_retry, after_s)
    assert len(mailbox.letters) == 1


async def test_no_answer_is_a_failure_that_may_pass(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes the message and says nothing is given up on, and asked again later."""
    monkeypatch.setattr(webhook_module, "_TIMEOUT_S", 0.2)
    mailbox.script.append(Answer(hang=True))
    way = webhook(mailbox)
    with pytest.raises(DeliveryError, match="no answer") as refused:
        await way.send(NOTICE)
    await way.close()
    assert refused.value.may_retry


async def test_an_unreachable_address_is_not_named_in_the_error() -> None:
    """The address may be a secret itself, so neither host nor path is in what is logged."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    way = Webhook(f"http://127.0.0.1:{port}/services/T000/SECRET", SECRET, "x", ManualClock())
    with pytest.raises(DeliveryError) as refused:
        await way.send(NOTICE)
    await way.close()
    assert refused.value.may_retry
    assert "127.0.0.1" not in str(refused.value)
    assert "SECRET" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_telegram_gets_plain_text_for_its_chat(mailbox: Mailbox) -> None:
    """One message by the Bot API's own names; informative news make no sound."""
    way = Telegram(mailbox.url + "/", TOKEN, "-100200", "My pool")
    await way.send(NOTICE)
    await way.send(Notice(key="k", kind="test", severity=Severity.INFO, title="fine", at_ms=1))
    await way.close()
    loud, quiet = mailbox.letters
    assert loud.path == f"/bot{TOKEN}/sendMessage"
    assert json.loads(loud.body) == {
        "chat_id": "-100200", "text": "[critical] My pool: run a failed\nLook.",
        "disable_notification": False, "link_preview_options": {"is_disabled": True},
    }  # fmt: skip
    assert json.loads(quiet.body)["text"] == "[info] My pool: fine"
    assert json.loads(quiet.body)["disable_notification"] is True


async def test_a_long_message_is_cut_to_what_telegram_takes(mailbox: Mailbox) -> None:
    """4096 characters, the last of which says that something is missing."""
    way = Telegram(mailbox.url, TOKEN, "1", "x")
    await way.send(Notice(key="k", kind="t", severity=Severity.INFO, title="t", text="é" * 5_000, at_ms=1))
    await way.close()
    text = json.loads(mailbox.letters[0].body)["text"]
    assert (len(text), text[-1]) == (4_096, "…")


def test_attempts_of_one_notice_have_one_id_and_others_another() -> None:
    """Whoever gets a notice twice can tell."""
    later = Notice(key="run.a.failed", kind="run", severity=Severity.CRITICAL, title="run a failed", at_ms=2)
    assert notice_id(NOTICE) == notice_id(NOTICE)
    assert notice_id(NOTICE) != notice_id(later)


ENVIRON = {
    "MRMARKET_WEBHOOK_URL": "https://hooks.example/x",
    "MRMARKET_WEBHOOK_SECRET": "s",
    "MRMARKET_TELEGRAM_TOKEN": TOKEN,
    "MRMARKET_TELEGRAM_CHAT": "1",
}


@pytest.mark.parametrize(
    ("left_out", "names"),
    [
        ([], ["webhook", "telegram"]),
        (["MRMARKET_TELEGRAM_TOKEN", "MRMARKET_TELEGRAM_CHAT"], ["webhook"]),
        (list(ENVIRON), []),
    ],
)
def test_a_way_is_open_when_its_variables_are_set(left_out: list[str], names: list[str]) -> None:
    """The environment decides which ways there are."""
    environ = {name: value for name, value in ENVIRON.items() if name not in left_out}
    assert [way.name for way in open_ways(NotifySection(), environ, "x", ManualClock())] == names


@pytest.mark.parametrize("left_out", list(ENVIRON))
def test_half_a_way_is_refused_by_the_missing_variables_name(left_out: str) -> None:
    """A webhook without a secret, a bot without a chat: refused at the start, not found in an emergency."""
    environ = {name: value for name, value in ENVIRON.items() if name != left_out}
    with pytest.raises(NotifyConfigError, match=left_out):
        open_ways(NotifySection(), environ, "x", ManualClock())


@pytest.mark.parametrize(
    ("name", "value"), [("MRMARKET_WEBHOOK_URL", "ftp://x"), ("MRMARKET_TELEGRAM_TOKEN", "no token")]
)
def test_a_value_that_cannot_be_one_is_refused_without_being_shown(name: str, value: str) -> None:
    """A mistyped token is told so at the start, and does not land on the screen."""
    with pytest.raises(NotifyConfigError) as refused:
        open_ways(NotifySection(), {**ENVIRON, name: value}, "x", ManualClock())
    assert value not in str(refused.value)


async def test_hanging_up_twice_is_harmless(mailbox: Mailbox) -> None:
    """A way that never sent, or was closed before, closes."""
    way = webhook(mailbox)
    await way.close()
    await way.send(NOTICE)
    await way.close()
    await way.close()
    assert len(mailbox.letters) == 1
