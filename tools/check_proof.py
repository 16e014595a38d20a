"""Check a proof of Mr. Market's with nothing but Python's standard library.

    python tools/check_proof.py proof.json [--public-key HEX] [--seal seal.json]

It shares no code with the program that made the proof; `docs/ledger-format.md` says what it checks.
Exit status: 0 the proof holds, 1 it does not.
"""

from __future__ import annotations

import argparse
import json
import sys
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, NoReturn

# Ed25519 as RFC 8032 has it. Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

Point = tuple[int, int, int, int]


def add(a: Point, b: Point) -> Point:
    """The sum of two points."""
    left = (a[1] - a[0]) * (b[1] - b[0]) % P
    right = (a[1] + a[0]) * (b[1] + b[0]) % P
    cross = 2 * a[3] * b[3] * D % P
    depth = 2 * a[2] * b[2] % P
    e, f, g, h = right - left, depth - cross, depth + cross, right + left
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(factor: int, point: Point) -> Point:
    """A point added to itself."""
    total: Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = add(total, point)
        point = add(point, point)
        factor >>= 1
    return total


def point_of(text: bytes) -> Point:
    """A point from its 32 bytes."""
    number = int.from_bytes(text, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        raise ValueError("not a point")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or (x == 0 and sign):
        raise ValueError("not a point")
    if x % 2 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature is that of a key."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    try:
        key, r = point_of(public_key), point_of(signature[:32])
    except ValueError:
        return False
    k = int.from_bytes(sha512(signature[:32] + public_key + message).digest(), "little") % ORDER
    left, right = times(s, BASE), add(r, times(k, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (
        left[1] * right[2] - right[1] * left[2]
    ) % P == 0


def fail(problem: str) -> NoReturn:
    """End with the first thing that does not hold."""
    raise SystemExit(f"the proof does not hold: {problem}")


def number(text: Any) -> int:
    """A canonical decimal number below 2^256."""
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or text != str(int(text)):
        fail(f"{text!r} is no amount")
    value = int(text)
    if value >= 2**256:
        fail(f"{text} is too large")
    return value


def digest(text: Any) -> bytes:
    """32 bytes in lower-case hexadecimal."""
    if not isinstance(text, str) or len(text) != 64 or text != text.lower():
        fail(f"{text!r} is no hash")
    return bytes.fromhex(text)


def opened(signed: dict[str, Any]) -> dict[str, Any]:
    """A signed document, if its own key signed it."""
    document: dict[str, Any] = json.loads(signed["document"])
    body = signed["document"].encode()
    if not is_signed(bytes.fromhex(document["public_key"]), body, bytes.fromhex(signed["signature"])):
        fail("a document is not signed by the key that it names")
    return document


def root_of(claim: dict[str, Any]) -> tuple[int, bytes]:
    """Where a claim leads."""
    name, total = claim["account"].encode("ascii"), number(claim["units"])
    body = len(name).to_bytes(32, "big") + name + digest(claim["nonce"]) + total.to_bytes(32, "big")
    here = sha256(b"\0" + body).digest()
    for step in claim["path"]:
        beside = number(step["sum"]), digest(step["hash"])
        left, right = (beside, (total, here)) if step["side"] == "left" else ((total, here), beside)
        if step["side"] not in {"left", "right"}:
            fail("a step has no side")
        body = left[0].to_bytes(32, "big") + left[1] + right[0].to_bytes(32, "big") + right[1]
        total, here = left[0] + right[0], sha256(b"\1" + body).digest()
        if total >= 2**256:
            fail("a sum is too large")
    return total, here


def check_claims(claims: list[dict[str, Any]], assets: dict[str, Any]) -> list[str]:
    """A line for each claim that holds."""
    lines = []
    for claim in claims:
        asset = assets.get(claim["asset"])
        if asset is None:
            fail(f"the seal knows nothing of {claim['asset']}")
        total, root = root_of(claim)
        if root.hex() != asset["root"] or str(total) != asset["sum"]:
            fail(f"{claim['account']} in {claim['asset']} does not lead to the sealed root and sum")
        scale = 10 ** asset["decimals"]
        whole, part = divmod(int(claim["units"]), scale)
        digits = f"{part:0{asset['decimals']}}".rstrip("0") if part else ""
        lines.append(f"{claim['account']}  {claim['asset']}  {whole}{'.' + digits if digits else ''}")
    return lines


def check(proof: dict[str, Any], public_key: str | None, seal: dict[str, Any] | None) -> list[str]:
    """What the proof shows, a line each; ends the program where it does not hold."""
    if proof["format"] != "mrmarket proof v1":
        fail(f"format {proof['format']!r} is another one")
    document = opened(proof["seal"])
    if document["format"] != "mrmarket seal v1":
        fail("there is no seal in it")
    if seal is not None and seal["document"] != proof["seal"]["document"]:
        fail("its seal is not the published one")
    trusted = public_key or document["public_key"]
    for signed in proof["rotations"]:
        handover = opened(signed)
        if handover["public_key"] == trusted != document["public_key"]:
            trusted = handover["new_public_key"]
    if trusted != document["public_key"]:
        fail("its seal is signed by another key than the one you trust")
    names = [asset["id"] for asset in document["assets"]]
    if names != sorted(set(names)):
        fail("the seal has an asset twice")
    if not proof["claims"] or any(claim["account"] != proof["account"] for claim in proof["claims"]):
        fail("a claim is not the account's own")
    if any(pool["account"] not in {claim["asset"] for claim in proof["claims"]} for pool in proof["pools"]):
        fail("it shows a pool whose shares it does not claim")
    assets = {asset["id"]: asset for asset in document["assets"]}
    head = f"seal {document['number']}, group {document['seq']}, signed by {document['public_key']}"
    return [head, *check_claims(proof["claims"], assets), *check_claims(proof["pools"], assets)]


def main(arguments: list[str]) -> None:
    """Read the files and print what holds."""
    parser = argparse.ArgumentParser(description="Check a proof of Mr. Market's.")
    parser.add_argument("proof", type=Path)
    parser.add_argument("--public-key", help="the instance's published key, hexadecimal")
    parser.add_argument("--seal", type=Path, help="the published seal, or a proof that carries it")
    given = parser.parse_args(arguments)
    try:
        proof = json.loads(given.proof.read_bytes())
        seal = json.loads(given.seal.read_bytes()) if given.seal else None
        lines = check(proof, given.public_key, seal and seal.get("seal", seal))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SystemExit(f"the proof does not hold: it cannot be read ({error!r})") from error
    print("\n".join(["The proof holds.", *lines]))


if __name__ == "__main__":
    main(sys.argv[1:])
