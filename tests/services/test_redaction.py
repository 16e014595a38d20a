"""No secret in any text that is logged, in whatever form it stands there."""

from __future__ import annotations

import base64
import json
import string
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import msgspec
import pytest
import structlog
from hypothesis import assume, given
from hypothesis import strategies as st

from mrmarket.services.config_sections import Config
from mrmarket.services.redaction import MASK, SHORTEST, Redactor, secrets_of

SECRET = "tops3cretvalue"
BOT_TOKEN = "123456789:AAF0a_bcdefghijklmnopqrstuvwxyz-12345"

secrets = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=SHORTEST, max_size=40
).filter(lambda text: len(text.strip()) >= SHORTEST and text.strip(string.punctuation + " ") != "")


def rendered(redactor: Redactor, **event: object) -> str:
    """The line as it would stand in the log."""
    renderer = structlog.processors.JSONRenderer()
    cleaned = redactor(None, "info", dict(event))
    text = renderer(None, "info", cleaned)
    return text.decode() if isinstance(text, bytes) else text


@given(
    st.sampled_from(
        ["api_secret", "apiKey", "password", "signature", "Token", "private_key", "Authorization",
         "listenKey", "mnemonic", "seed", "wallet_seed", "dsn", "passphrase", "set-cookie"]
    ),
    st.text(),
)  # fmt: skip
def test_values_of_secret_names_are_masked(name: str, value: str) -> None:
    """Whatever a secret's value is, only its name is logged."""
    cleaned = Redactor()(None, "info", {name: value, "inner": [{name: value}]})
    assert cleaned == {name: MASK, "inner": [{name: MASK}]}


def test_a_generators_seed_is_no_secret() -> None:
    """The number that reproduces a run is worth its line; words under the same name are not shown."""
    assert Redactor()(None, "info", {"seed": 42}) == {"seed": 42}
    assert Redactor()(None, "info", {"seed": "legal winner thank year"}) == {"seed": MASK}


@pytest.mark.parametrize(
    "text",
    [
        f"GET /api/v3/order?symbol=X&signature={SECRET}",
        f'{{"secret": "{SECRET}"}}',
        f'{{\\"secret\\": \\"{SECRET}\\"}}',
        f"apiKey={SECRET}&x=1",
        f"password: {SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {base64.b64encode(SECRET.encode()).decode()}",
        f"headers were {{'X-MBX-APIKEY': '{SECRET}'}}",
        f"Cookie: mrmarket_8080={SECRET}; theme=dark",
        f"postgresql://mrmarket:{SECRET}@db.example:5432/books",
        f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET} and then it was cut off",
    ],
)
def test_what_looks_like_a_secret_inside_a_text_is_masked(text: str) -> None:
    """A URL, a header or a body in an error message loses its secret, and the line stays."""
    cleaned = Redactor().text(text)
    assert SECRET not in cleaned
    assert base64.b64encode(SECRET.encode()).decode() not in cleaned
    assert MASK in cleaned


def test_a_telegram_token_is_masked_wherever_it_stands() -> None:
    """The Bot API carries the token in its path, so the path is not logged with it."""
    cleaned = Redactor().text(f"POST https://api.telegram.org/bot{BOT_TOKEN}/sendMessage failed")
    assert BOT_TOKEN not in cleaned
    assert cleaned.endswith("/sendMessage failed")


@pytest.mark.parametrize(
    "text",
    ["order mm00a1b2c3d4e001000000ab1 stands", "BTC/USDT 30000.5", "2026-01-01T00:00:00Z", "http://127.0.0.1:8080/x",
     "run simulated.BTCUSDT has fence 12", "0x52908400098527886E0F7030069857D2E4169EE7"],
)  # fmt: skip
def test_innocent_texts_stay_as_they_are(text: str) -> None:
    """Ids, prices, addresses and times are what logs are for."""
    assert Redactor().text(text) == text


@given(secrets, st.text(max_size=12), st.text(max_size=12))
def test_a_known_secret_never_appears_in_any_form(secret: str, before: str, after: str) -> None:
    """Plain, quoted, escaped, in hexadecimal, in base64 with and without a user's name: never."""
    assume(secret not in MASK)
    redactor = Redactor([secret])
    raw = secret.encode()
    forms = {
        "plain": secret,
        "quoted": quote(secret, safe=""),
        "lower": quote(secret, safe="").lower() if secret.isascii() and secret.islower() else quote(secret),
        "plus": quote_plus(secret),
        "query": urlencode({"x": secret}),
        "json": json.dumps(secret),
        "wide": json.dumps(secret, ensure_ascii=False),
        "repr": repr(secret),
        "bytes": repr(raw),
        "hex": raw.hex(),
    }
    for name, form in forms.items():
        line = redactor.text(f"{before}{form}{after}")
        assert form.strip("'\"") not in line or form.strip("'\"") in before + after, name
    shown = json.loads(
        rendered(redactor, event=f"{before} {secret}", detail={"deep": [secret, {secret: 1}]}, raw=raw)
    )
    assert secret not in str(shown["event"]).removeprefix(before) or secret in before
    assert secret not in json.dumps(shown["detail"], ensure_ascii=False)
    assert secret not in shown["raw"]


@given(
    st.text(string.ascii_letters + string.digits, min_size=8, max_size=32),
    st.text(string.ascii_lowercase, max_size=9),
)
def test_a_password_in_base64_of_user_and_password_is_masked(secret: str, user: str) -> None:
    """Basic authentication hides nothing: what encodes the password is cut out, whatever the user's name."""
    redactor = Redactor([secret])
    encoded = base64.b64encode(f"{user}:{secret}".encode()).decode()
    cleaned = redactor.text(f"sent {encoded} to the venue")
    assert MASK in cleaned
    left = cleaned.removeprefix("sent ").removesuffix(" to the venue")
    for part in left.split(MASK):
        for pad in range(4):
            aligned = "A" * pad + part.rstrip("=")
            decoded = base64.b64decode(aligned + "A" * (-len(aligned) % 4))
            assert secret.encode() not in decoded


def test_objects_are_written_as_cleaned_text() -> None:
    """Exceptions, paths and data classes are logged by their text, which is cleaned as any other."""

    @dataclass
    class Key:
        name: str
        value: str

    redactor = Redactor([SECRET])
    line = rendered(
        redactor,
        key=Key("main", SECRET),
        failure=ValueError(SECRET),
        path=Path("folder") / SECRET,
        raw=SECRET.encode(),
    )
    assert SECRET not in line
    assert "Key(name='main'" in line
    assert "ValueError: " in line


def test_a_number_that_is_a_known_secret_is_masked() -> None:
    """A chat's id or a pin is digits; other numbers stay numbers."""
    redactor = Redactor(["987654321"])
    assert redactor(None, "info", {"chat": 987654321, "count": 12, "on": True}) == {
        "chat": MASK,
        "count": 12,
        "on": True,
    }


def test_what_is_too_short_is_not_searched_for() -> None:
    """A secret of a few characters would mask innocent words, so its value alone hides nothing."""
    assert Redactor(["ab"]).text("about") == "about"


def test_a_bottomless_value_ends() -> None:
    """A container inside itself is cut off, not followed for ever."""
    deep: list[object] = [SECRET]
    deep.append(deep)
    assert SECRET not in rendered(Redactor([SECRET]), event=deep)


def test_the_secrets_of_a_configuration_are_what_its_variables_hold() -> None:
    """Every `…_env` key of every section names a variable whose value must not be logged."""
    config = msgspec.convert({"venue": {"api_key_env": "MY_KEY"}}, Config)
    environ = {"MY_KEY": "key-value", "MRMARKET_API_SECRET": "secret-value", "HOME": "/root"}
    assert set(secrets_of(config, environ)) == {"key-value", "secret-value"}
