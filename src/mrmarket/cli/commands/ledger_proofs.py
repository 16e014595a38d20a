"""`mrmarket ledger prove`, `check-proof` and `seal`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrmarket.cli.books import account_id, open_books
from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, Data, Json, Store
from mrmarket.cli.output import notes, print_error, print_json, print_pairs

if TYPE_CHECKING:
    from mrmarket.money.ledger.proof import ProofResult
    from mrmarket.money.ledger.seal import Signed

Output = Annotated[Path | None, typer.Option("--out", help="Write to this file instead of stdout.")]


def prove(
    user: Annotated[str, typer.Argument(help="Whose claims, such as alice or pool:main.")],
    *,
    asset: Annotated[str | None, typer.Option("--asset", help="This asset only.")] = None,
    number: Annotated[
        int | None, typer.Option("--seal", help="Number of a seal; the newest if left out.")
    ] = None,
    out: Output = None,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> None:
    """Write the proof that a user's claims are in a seal, as JSON that anybody can check."""
    import msgspec

    from mrmarket.money.ledger.proof import ProofBook, ProofError
    from mrmarket.money.ledger.seal_office import KeyRing
    from mrmarket.money.ledger.seal_rows import SealRows

    with open_books(data, store) as sql:
        if SealRows(sql).last_seal() is None:
            raise ProofError("there is no seal yet; make one with: mrmarket ledger seal")
        proof = ProofBook.of(sql, KeyRing(data).key(sql), number).proof(account_id(user), asset)
    if out is None:
        content = msgspec.json.encode(proof)
        sys.stdout.write((content if json else msgspec.json.format(content, indent=1)).decode() + "\n")
        return
    out.write_bytes(msgspec.json.format(msgspec.json.encode(proof), indent=1))
    if json:
        print_json({"file": str(out), "account": proof.account, "claims": len(proof.claims)})
    else:
        notes.print(f"The proof is in {out}; check it with: mrmarket ledger check-proof {out}")


def check_proof(
    file: Annotated[Path, typer.Argument(help="A proof.", metavar="FILE")],
    *,
    public_key: Annotated[
        str | None, typer.Option("--public-key", help="The instance's published key; hexadecimal.")
    ] = None,
    seal: Annotated[
        Path | None, typer.Option("--seal", help="The published seal that the proof must be from.")
    ] = None,
    json: Json = False,
) -> int:
    """Check a proof from nothing but itself and what you trust. Exit status 1 if it does not hold."""
    from mrmarket.money.ledger.proof import ProofError, read_proof
    from mrmarket.money.ledger.proof import check_proof as checked

    content = _content(file)
    try:
        result = checked(read_proof(content), public_key, None if seal is None else read_seal(seal))
    except ProofError as error:
        print_error("proof_refused", f"the proof does not hold: {error.problem}", as_json=json)
        return ExitCode.CHECK_FAILED
    if json:
        print_json({"ok": True, "result": result})
    else:
        _print_result(result)
        if public_key is None and seal is None:
            notes.print("Compare the key with the published one, or name it with --public-key.")
    return ExitCode.OK


def seal(
    *,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Then hand over to a new key, by a statement of the old one.")
    ] = False,
    out: Output = None,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    json: Json = False,
) -> None:
    """Seal the books now, through the instance if one runs; it seals by itself every day."""
    import msgspec

    from mrmarket.services.data_directory import NotRunningError

    try:
        signed, public = _seal_at_rest(data, store, rotate=True) if rotate else _seal_running(data)
    except NotRunningError:
        signed, public = _seal_at_rest(data, store, rotate=False)
    if out is not None:
        out.write_bytes(msgspec.json.encode(signed))
    if json:
        print_json(
            {
                "document": msgspec.Raw(signed.document.encode()),
                "signature": signed.signature,
                "next_key": public,
            }
        )
    else:
        document = msgspec.json.decode(signed.document)
        pairs = [("group", f"{document['seq']} {document['head']}"), ("key", document["public_key"])]
        pairs += [
            (asset["id"], f"{asset['sum']} base units owed to {asset['leaves']}")
            for asset in document["assets"]
        ]
        if rotate:
            pairs.append(("next key", public))
        print_pairs(f"Seal {document['number']}", pairs)


def _seal_running(data: Path) -> tuple[Signed, str]:
    """The seal, and the key of the next one. Raises NotRunningError."""
    from mrmarket.money.ledger.seal import Signed
    from mrmarket.services.api.money_schema import SealView
    from mrmarket.services.remote import RemoteInstance

    view = RemoteInstance.of(data).change("admin/seal", SealView)
    return Signed(view.document, view.signature), view.public_key


def _seal_at_rest(data: Path, store: str, *, rotate: bool) -> tuple[Signed, str]:
    """The same of a folder that no instance holds; with `rotate` the next key is a new one."""
    from mrmarket.core.clock import SystemClock
    from mrmarket.money.ledger.ledger import Ledger
    from mrmarket.money.ledger.seal_office import KeyRing, seal_now
    from mrmarket.money.ledger.writer import LedgerWriter
    from mrmarket.services.data_directory import DataDirectory

    with open_books(data, store):
        pass  # a folder without books is refused before anything is made in it
    with DataDirectory(data, store) as directory:
        clock = SystemClock()
        directory.store.require_rest(clock.now_ns())
        writer = LedgerWriter(Ledger(directory.store.open_ledger("mrmarket ledger seal"), clock))
        try:
            reader = directory.store.open_reader()
            try:
                ring = KeyRing(data)
                with reader.snapshot() as sql:
                    key = ring.key(sql)
                signed = seal_now(reader, writer, key, clock)
                if rotate:
                    key = ring.rotate(reader, writer, clock)
            finally:
                reader.close()
        finally:
            writer.close()
    return signed, key.public


def read_seal(path: Path) -> Signed:
    """A seal from its own file or from a proof's.

    Raises:
        ProofError: if it is neither.
    """
    import msgspec

    from mrmarket.money.ledger.proof import ProofError
    from mrmarket.money.ledger.seal import Signed

    content = _content(path)
    try:
        found = msgspec.json.decode(content)
        return msgspec.convert(found.get("seal", found), Signed)
    except (msgspec.MsgspecError, AttributeError, UnicodeDecodeError, RecursionError) as error:
        raise ProofError(f"{path.name} is neither a seal nor a proof") from error


def _content(path: Path) -> bytes:
    from mrmarket.core.errors import InvalidInputError

    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError("file", str(path), f"a file that can be read ({error.strerror})") from error


def _print_result(result: ProofResult) -> None:
    from mrmarket.money.ledger.statement import utc

    pairs = [
        ("seal", f"{result.seal} of {utc(result.at_ms)}, group {result.seq}"),
        ("key", result.public_key),
    ]
    pairs += [(claim.asset, f"{claim.amount} of {claim.total}") for claim in result.claims]
    pairs += [
        (f"{claim.account}, {claim.asset}", f"{claim.amount} of {claim.total}") for claim in result.pools
    ]
    print_pairs(f"The proof of {result.account} holds.", pairs)
