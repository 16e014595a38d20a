"""Our bytes beside those of the official Node SDK."""

from __future__ import annotations

import time
from typing import Any

from nacl.signing import SigningKey

from mrmarket.partners.mixin.address import MixAddress, read_mix, write_xin
from mrmarket.partners.mixin.ghost import ghost_key, public_key
from mrmarket.partners.mixin.ids import contact_conversation, hash_members
from mrmarket.partners.mixin.invoice import Invoice, InvoiceEntry, read_invoice, write_invoice
from mrmarket.partners.mixin.jwt import b64, unb64, verify_token
from mrmarket.partners.mixin.oauth import challenge_of
from mrmarket.partners.mixin.signing import sign_transaction
from mrmarket.partners.mixin.transaction import WITHDRAWAL, decode, encode, encode_unsigned, transaction_hash
from partners.mixin.mixin_oracle import ask_sdk, needs_sdk
from partners.mixin.mixin_samples import as_question, new_uuid, random_transaction, scalar, seeded

pytestmark = needs_sdk

SEED = 20_261


def test_signed_bytes_are_those_of_the_sdk() -> None:
    """120 random transactions: unsigned bytes, hash and signed bytes are equal."""
    rng = seeded(SEED)
    cases = []
    for _ in range(120):
        transaction = random_transaction(rng)
        views = [scalar(rng).hex() for _ in transaction.inputs]
        cases.append((transaction, views, rng.randbytes(32), rng.randint(0, 2)))
    answers = ask_sdk(as_question(*case) for case in cases)
    for (transaction, views, spend, index), told in zip(cases, answers, strict=True):
        signed = encode(sign_transaction(transaction, views, spend, index=index))
        assert encode_unsigned(transaction).hex() == told["unsigned"], f"seed {SEED}"
        assert transaction_hash(transaction) == told["hash"]
        assert signed.hex() == told["signed"]
        assert decode(signed).outputs == transaction.outputs


def test_the_sdk_reads_what_we_write() -> None:
    """The SDK finds the same parts in 30 transactions without withdrawals, whose lengths it misreads."""
    rng = seeded(SEED)
    cases = [t for t in (random_transaction(rng) for _ in range(60)) if t.outputs[0].kind != WITHDRAWAL][:30]
    answers = ask_sdk({"ask": "decode", "raw": encode(case).hex()} for case in cases)
    for case, told in zip(cases, answers, strict=True):
        assert (told["asset"], told["extra"]) == (case.asset, case.extra.hex())
        assert [(spent["hash"], spent["index"]) for spent in told["inputs"]] == [
            (spent.hash, spent.index) for spent in case.inputs
        ]
        assert [tuple(made["keys"]) for made in told["outputs"]] == [made.keys for made in case.outputs]
        assert told["references"] == list(case.references)


def test_names_and_addresses_are_those_of_the_sdk() -> None:
    """Members' hash, conversations, MIX and XIN addresses, and one-time keys are equal."""
    rng = seeded(SEED)
    questions: list[dict[str, Any]] = []
    ours: list[str] = []
    for count in (1, 2, 5):
        users = [new_uuid(rng) for _ in range(count)]
        questions += [
            {"ask": "members", "members": users},
            {"ask": "mix", "uuids": users, "xins": [], "threshold": count},
            {"ask": "conversation", "one": users[0], "other": users[-1]},
        ]
        mix = MixAddress(tuple(users), count)
        ours += [hash_members(users), str(mix), contact_conversation(users[0], users[-1])]
        assert read_mix(str(mix)) == mix
    spend, view = public_key(scalar(rng)), public_key(scalar(rng))
    xin = write_xin(spend, view)
    questions += [
        {"ask": "xin", "public": (spend + view).hex()},
        {"ask": "mix", "uuids": [], "xins": [xin], "threshold": 1},
    ]
    ours += [xin, str(MixAddress((xin,)))]
    assert [told["text"] for told in ask_sdk(questions)] == ours
    secret = scalar(rng)
    asked = [
        {"ask": "ghost", "secret": secret.hex(), "view": view.hex(), "spend": spend.hex(), "index": index}
        for index in (0, 1, 127)  # above, the SDK's number of several bytes is not the kernel's
    ]
    assert [told["key"] for told in ask_sdk(asked)] == [
        ghost_key(secret, view, spend, index).hex() for index in (0, 1, 127)
    ]


def test_invoices_are_those_of_the_sdk() -> None:
    """An invoice with entries, memos and references has the same text, and is read back."""
    rng = seeded(SEED)
    recipient = MixAddress((new_uuid(rng),))
    entries = tuple(
        InvoiceEntry(
            new_uuid(rng), new_uuid(rng), units, b"memo", (0,) if at else (), (rng.randbytes(32).hex(),)
        )
        for at, units in enumerate((1, 10**8, 123_456_789))
    )
    invoice = Invoice(recipient, entries)
    amounts = ("0.00000001", "1", "1.23456789")
    question = {
        "ask": "invoice",
        "recipient": str(recipient),
        "entries": [
            {
                "trace_id": entry.trace,
                "asset_id": entry.asset,
                "amount": amount,
                "extra": entry.extra.hex(),
                "index_references": list(entry.index_references),
                "hash_references": list(entry.hash_references),
            }
            for entry, amount in zip(entries, amounts, strict=True)
        ],
    }
    (told,) = ask_sdk([question])
    assert (write_invoice(invoice), 3) == (told["text"], told["count"])
    assert read_invoice(told["text"]) == invoice


def test_the_sdks_tokens_verify() -> None:
    """What the SDK signs for a request is taken for that request; and PKCE hashes the same bytes."""
    rng = seeded(SEED)
    seed, app, session = rng.randbytes(32), new_uuid(rng), new_uuid(rng)
    keystore = {
        "app_id": app,
        "session_id": session,
        "session_private_key": seed.hex(),
        "server_public_key": "",
    }
    uri, request = "/safe/outputs?state=unspent", new_uuid(rng)
    question = {
        "ask": "token",
        "method": "GET",
        "uri": uri,
        "body": "",
        "request": request,
        "keystore": keystore,
    }
    token, challenge = ask_sdk([question, {"ask": "challenge"}])
    public = SigningKey(seed).verify_key.encode()
    now_s = time.time()
    claims = verify_token(token["text"], public, "GET", uri, b"", now_s=int(now_s))
    assert (claims.uid, claims.sid, claims.jti, claims.scp) == (app, session, request, "FULL")
    assert challenge_of(unb64(challenge["verifier"])) == challenge["challenge"]
    assert b64(unb64(challenge["verifier"])) == challenge["verifier"]
