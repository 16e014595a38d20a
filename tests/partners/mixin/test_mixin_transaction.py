"""Transactions, one-time keys, addresses, invoices and links by themselves."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from nacl.signing import SigningKey

from mrmarket.core.errors import InvalidInputError
from mrmarket.partners.mixin.address import MixAddress, read_mix, read_xin, receiver, unpack_mix, write_xin
from mrmarket.partners.mixin.errors import AddressError, TransactionFormError
from mrmarket.partners.mixin.ghost import clamped_scalar, ghost_key, output_secret, public_key, view_scalar
from mrmarket.partners.mixin.ids import canonical_uuid, kernel_asset, key_hint, request_id, required_uuid
from mrmarket.partners.mixin.invoice import Invoice, InvoiceEntry, read_invoice, write_invoice
from mrmarket.partners.mixin.payment_url import invoice_url, payment_url
from mrmarket.partners.mixin.signing import sign_transaction, verify_signature
from mrmarket.partners.mixin.transaction import (
    WITHDRAWAL,
    Input,
    Output,
    Transaction,
    decode,
    encode,
    encode_unsigned,
    outputs_total,
    script,
)
from partners.mixin.mixin_samples import new_uuid, random_transaction, scalar, seeded

RNG = seeded(11)
USER, OTHER = new_uuid(RNG), new_uuid(RNG)


def test_every_transaction_comes_back() -> None:
    """Encoding and decoding 300 signed transactions is the identity."""
    rng = seeded(3)
    for _ in range(300):
        plain = random_transaction(rng)
        signed = replace(
            plain,
            signatures=tuple({0: rng.randbytes(64).hex(), 2: rng.randbytes(64).hex()} for _ in plain.inputs),
        )
        assert decode(encode(signed)) == signed
        assert decode(encode_unsigned(plain)) == plain


@given(st.binary(max_size=400), st.integers(0, 2**31), st.integers(0, 7))
def test_any_bytes_are_a_transaction_or_an_error(noise: bytes, place: int, bit: int) -> None:
    """Noise and flipped bits never raise anything else; what is read is written the same way."""
    raw = bytearray(encode(random_transaction(seeded(place))))
    raw[place % len(raw)] ^= 1 << bit
    for candidate in (noise, bytes(raw), bytes(raw)[: place % len(raw)], b"\x77\x77\x00\x05" + noise):
        try:
            read = decode(candidate)
        except TransactionFormError:
            continue
        assert encode(read) == candidate


def test_a_transaction_that_cannot_be_is_refused() -> None:
    """Nothing in it, nothing out, sizes beyond the format, text that is no hex."""
    good = random_transaction(seeded(1))
    output = Output(5, ("00" * 32,), "11" * 32, script(1))
    for bad in (
        replace(good, inputs=()),
        replace(good, outputs=()),
        replace(good, inputs=good.inputs * 300),
        replace(good, outputs=(output,) * 256),
        replace(good, references=("00" * 32,) * 17),
        replace(good, asset="00"),
        replace(good, asset="zz" * 32),
        replace(good, outputs=(replace(output, units=0),)),
        replace(good, outputs=(replace(output, script="f"),)),
        replace(good, inputs=(Input("00" * 32, 70_000),)),
    ):
        with pytest.raises(TransactionFormError):
            encode(bad)
    for threshold in (0, 65):
        with pytest.raises(TransactionFormError):
            script(threshold)
    with pytest.raises(TransactionFormError):
        decode(bytes(5 * 1024 * 1024))
    assert outputs_total((output, output)) == 10


def test_only_the_receiver_can_sign_for_a_one_time_key() -> None:
    """The view scalar and the spend key give the key's private half; the signature is plain Ed25519."""
    rng = seeded(8)
    spend_seed, view_secret, secret = rng.randbytes(32), scalar(rng), scalar(rng)
    spend_key = SigningKey(spend_seed).verify_key.encode()
    for index in (0, 1, 130, 255):
        key = ghost_key(secret, public_key(view_secret), spend_key, index)
        view = view_scalar(view_secret, public_key(secret), index)
        assert public_key(output_secret(view, clamped_scalar(spend_seed))) == key
        transaction = random_transaction(rng, inputs=1)
        signed = sign_transaction(transaction, [view.hex()], spend_seed)
        message = blake3(encode_unsigned(transaction)).digest()
        assert verify_signature(message, signed.signatures[0][0], key.hex())
        assert not verify_signature(message + b"x", signed.signatures[0][0], key.hex())
    assert not verify_signature(b"", "zz", "00" * 32)
    for views in ([], ["zz"], ["ff" * 32], ["00"]):
        with pytest.raises(TransactionFormError):
            sign_transaction(transaction, views, spend_seed)


def test_addresses_are_read_back_or_refused() -> None:
    """UUID, XIN and MIX lead to their members; a wrong character leads nowhere."""
    rng = seeded(2)
    xin = write_xin(public_key(scalar(rng)), public_key(scalar(rng)))
    mix = str(MixAddress((USER, OTHER), 2))
    assert receiver(USER) == MixAddress((USER,))
    assert receiver(xin) == MixAddress((xin,))
    assert receiver(mix) == MixAddress((USER, OTHER), 2)
    assert read_mix(str(MixAddress((xin,)))) == MixAddress((xin,))
    for wrong in (
        "",
        "alice",
        USER[:-1],
        mix[:-1],
        mix + "1",
        xin[:-2],
        "MIX0",
        "XIN",
        "MIX1111",
        xin[:10] + "l" + xin[11:],
    ):
        assert receiver(wrong) is None
    for members, threshold in (((USER,), 2), ((USER,), 0), (("alice",), 1), ((USER,) * 65, 1)):
        with pytest.raises(AddressError):
            MixAddress(members, threshold).packed()
    for raw in (b"", b"\x01\x01\x01", b"\x02\x02\x01", b"\x02\x01\x01" + bytes(17)):
        with pytest.raises(AddressError):
            unpack_mix(raw)
    with pytest.raises(AddressError):
        read_xin(mix)


def test_names_follow_from_names() -> None:
    """The same key asks under the same ids for ever; other bots, legs and outputs have others."""
    assert request_id(USER, "k", "tx") == request_id(USER, "k", "tx")
    names = {request_id(USER, "k", "tx"), request_id(USER, "k", "fee"), request_id(OTHER, "k", "tx")}
    assert len(names | {key_hint("r", 0), key_hint("r", 1)}) == 5
    assert request_id("a", "b", "tx") == "bff02057-79b1-56a7-afe0-1047dc2a872c"
    assert canonical_uuid(USER.upper()) == USER
    assert [canonical_uuid(text) for text in ("", USER.replace("-", ""), "{" + USER[1:], "z" * 36)] == [
        None
    ] * 4
    assert required_uuid(USER.upper(), "user") == USER
    with pytest.raises(InvalidInputError):
        required_uuid("x", "user")
    assert len(kernel_asset(USER)) == 64


def entry(**fields: object) -> InvoiceEntry:
    """A payment of an invoice."""
    return replace(InvoiceEntry(USER, OTHER, 5), **fields)


@pytest.mark.parametrize(
    "entries",
    [
        (),
        (entry(),) * 129,
        (entry(units=0),),
        (entry(extra=bytes(256)),),
        (entry(index_references=(0,)),),
        (entry(hash_references=("00" * 32,) * 17),),
        (entry(hash_references=("00",)),),
        (entry(trace="x"),),
    ],
)
def test_an_invoice_that_cannot_be_is_refused(entries: tuple[InvoiceEntry, ...]) -> None:
    """Too many, too long, nothing to pay, references to what is not there."""
    with pytest.raises(InvalidInputError):
        write_invoice(Invoice(MixAddress((USER,)), entries))


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_damaged_invoice_is_refused(place: int, change: int) -> None:
    """Whatever byte is changed; and other beginnings."""
    text = write_invoice(Invoice(MixAddress((USER,)), (entry(extra=b"abc", hash_references=("07" * 32,)),)))
    raw = bytearray(text[3:].encode())
    raw[place % len(raw)] ^= change
    try:
        damaged = read_invoice("MIN" + raw.decode("latin-1"))
    except AddressError:
        damaged = None
    assert damaged is None or write_invoice(damaged) == text
    for wrong in ("", "MIN", "MINAAAA", text[3:]):
        with pytest.raises(AddressError):
            read_invoice(wrong)


def test_links_carry_everything_encoded() -> None:
    """A memo with any character survives; only addresses of Mixin are paid."""
    link = payment_url(
        USER, asset=OTHER, units=150_000_000, memo="a b&c=ü", trace=USER, return_to="https://x/?y"
    )
    assert link == (
        f"https://mixin.one/pay/{USER}?asset={OTHER}&amount=1.5&memo=a%20b%26c%3D%C3%BC&trace={USER}"
        "&return_to=https%3A%2F%2Fx%2F%3Fy"
    )
    assert payment_url(USER) == f"https://mixin.one/pay/{USER}"
    assert invoice_url("MINabc") == "https://mixin.one/pay/MINabc"
    with pytest.raises(AddressError):
        payment_url("alice")


def test_a_withdrawal_is_an_output_of_its_own_kind() -> None:
    """Its address and tag come back, and it has no keys."""
    made = Output(7, kind=WITHDRAWAL, address="0xab", tag="memo")
    transaction = Transaction("00" * 32, (Input("11" * 32, 0),), (made,))
    assert decode(encode(transaction)).outputs == (made,)
