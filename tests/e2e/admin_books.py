"""Books made up for the owner's pages: a chained ledger and signed seals, by the documented format."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mrmarket.services.api import money_schema as money

NOW_MS: Final = 1_795_248_000_000
ADDRESS: Final = "0x1b15d6fc92708c50e6f828eea0f3781948d61272"
LONG: Final = f"user:{ADDRESS}"


class MadeUpBooks:
    """So many groups and three seals; every hash and signature holds."""

    def __init__(self, count: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
        self.groups = _ledger(count)
        self.seals: list[money.SealView] = []
        for part in (1, 2, 3):
            self.seal(count * part // 3)

    def seal(self, seq: int) -> money.SealView:
        """One more seal."""
        number = len(self.seals) + 1
        before = self.seals[-1].document if self.seals else "mrmarket seals v1\0"
        said: dict[str, Any] = {
            "assets": [],
            "at_ms": NOW_MS + number,
            "format": "mrmarket seal v1",
            "head": self.groups[seq - 1].hash,
            "number": number,
            "previous": hashlib.sha256(before.encode()).hexdigest(),
            "public_key": self._key.public_key().public_bytes_raw().hex(),
            "seq": seq,
        }
        document = json.dumps(said, sort_keys=True, separators=(",", ":"))
        seal = money.SealView(
            number=number,
            at_ms=said["at_ms"],
            seq=seq,
            head=said["head"],
            public_key=said["public_key"],
            signature=self._key.sign(document.encode()).hex(),
            document=document,
        )
        self.seals.append(seal)
        return seal


def forged(seal: money.SealView) -> money.SealView:
    """The same with a signature of nobody."""
    return msgspec.structs.replace(seal, signature="00" * 64)


def touched(group: money.GroupView) -> money.GroupView:
    """The same, with another memo than was recorded."""
    return msgspec.structs.replace(group, memo="touched")


def _ledger(count: int) -> list[money.GroupView]:
    groups: list[money.GroupView] = []
    previous = hashlib.sha256(b"mrmarket ledger v1\0").hexdigest()
    for seq in range(1, count + 1):
        groups.append(_group(seq, previous))
        previous = groups[-1].hash
    assert all(after.previous_hash == before.hash for before, after in pairwise(groups))
    return groups


def _group(seq: int, previous: str) -> money.GroupView:
    transfers = [
        ("rail:outside", LONG if seq % 2 else "user:alice", "rail:USDT", "1250000000", "DEPOSIT"),
        ("user:alice", "pool:main", "rail:USDT", "1", "LOCK"),
        ("issuer:main", "user:alice", "pool:main", "1250000000000000000", "MINT_SHARES"),
    ]
    reverses = f"group-{seq - 1}" if seq % 50 == 0 else None
    if reverses:
        transfers = [("user:alice", "rail:outside", "rail:USDT", "1250000000", "REVERSAL")]
    rejected = seq % 33 == 0
    said = [
        *(1, seq, f"group-{seq}", "00" * 32, NOW_MS + seq, 1),
        *("below_floor" if rejected else "posted", "too little" if rejected else "", ""),
        *(reverses, [], [], [] if rejected else [list(one) for one in transfers]),
    ]
    text = json.dumps(said, separators=(",", ":"))
    decimals = {"rail:USDT": 8, "pool:main": 18}
    return money.GroupView(
        seq=seq,
        key=f"group-{seq}",
        at_ms=NOW_MS + seq,
        outcome="below_floor" if rejected else "posted",
        memo="",
        hash=hashlib.sha256(bytes.fromhex(previous) + text.encode()).hexdigest(),
        previous_hash=previous,
        entries=[
            money.EntryView(
                position=place,
                debit=debit,
                credit=credit,
                asset=asset,
                amount=_amount(int(units), decimals[asset]),
                units=units,
                kind=kind,
                phase="plain",
            )
            for place, (debit, credit, asset, units, kind) in enumerate([] if rejected else transfers)
        ],
        canonical=text,
    )


def _amount(units: int, decimals: int) -> str:
    text = str(units).rjust(decimals + 1, "0")
    return f"{text[:-decimals]}.{text[-decimals:]}".rstrip("0").rstrip(".")
