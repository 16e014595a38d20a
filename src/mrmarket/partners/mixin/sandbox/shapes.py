"""Rows of the sandbox as the answers of Mixin."""

from __future__ import annotations

from typing import Any

import msgspec

from mrmarket.partners.mixin.feed import format_time
from mrmarket.partners.mixin.ids import kernel_asset
from mrmarket.partners.mixin.sandbox.config import SandboxAsset
from mrmarket.partners.mixin.sandbox.journal import Row
from mrmarket.partners.mixin.transaction import DECIMALS, format_amount

Shape = dict[str, Any]


def user_shape(user: Row) -> Shape:
    """A user."""
    return {
        "type": "user",
        "user_id": user["user_id"],
        "identity_number": str(user["number"]),
        "full_name": user["name"],
        "session_id": user["session_id"],
        "has_safe": True,
        "has_pin": True,
        "phone": "",
        "avatar_url": "",
        "app_id": user["user_id"],
        "public_key": user["spend_key"],
    }


def asset_shape(asset: SandboxAsset) -> Shape:
    """An asset."""
    return {
        "type": "safe_asset",
        "asset_id": asset.asset_id,
        "chain_id": asset.chain_id,
        "symbol": asset.symbol,
        "name": asset.symbol,
        "display_symbol": asset.symbol,
        "display_name": asset.symbol,
        "icon_url": "",
        "price_btc": "0",
        "price_usd": asset.price_usd,
        "change_btc": "0",
        "change_usd": "0",
        "asset_key": "",
        "precision": asset.precision,
        "dust": format_amount(10 ** max(0, DECIMALS - asset.precision)),
        "confirmations": 1,
        "kernel_asset_id": kernel_asset(asset.asset_id),
    }


def fee_shape(asset: SandboxAsset) -> Shape:
    """What a withdrawal costs."""
    amount = format_amount(asset.fee_units)
    return {"type": "withdrawal_fee", "amount": amount, "asset_id": asset.fee_asset, "priority": 0}


def output_shape(output: Row) -> Shape:
    """A coin."""
    return {
        "type": "safe_output",
        "output_id": output["id"],
        "utxo_id": output["id"],
        "transaction_hash": output["hash"],
        "output_index": output["place"],
        "asset": kernel_asset(output["asset"]),
        "asset_id": output["asset"],
        "kernel_asset_id": kernel_asset(output["asset"]),
        "amount": format_amount(int(output["units"])),
        "mask": output["mask"],
        "keys": msgspec.json.decode(output["keys"]),
        "receivers": msgspec.json.decode(output["members"]),
        "receivers_hash": output["members_hash"],
        "receivers_threshold": output["threshold"],
        "senders": msgspec.json.decode(output["senders"]),
        "senders_hash": "",
        "senders_threshold": 1,
        "extra": output["extra"],
        "state": output["state"],
        "sequence": output["sequence"],
        "request_id": output["request_id"],
        "signed_by": output["signed_by"],
        "signed_at": _time(output["spent_ns"]),
        "spent_at": _time(output["spent_ns"]),
        "created_at": format_time(output["created_ns"]),
        "updated_at": format_time(output["spent_ns"] or output["created_ns"]),
    }


def request_shape(request: Row) -> Shape:
    """A transaction that was checked, or made."""
    final = request["state"] == "spent"
    return {
        "type": "kernel_transaction_request",
        "request_id": request["request_id"],
        "transaction_hash": request["hash"],
        "asset": kernel_asset(request["asset"]),
        "amount": format_amount(int(request["units"])),
        "extra": request["extra"],
        "user_id": request["user_id"],
        "state": request["state"],
        "raw_transaction": request["raw"],
        "created_at": format_time(request["created_ns"]),
        "updated_at": format_time(request["created_ns"]),
        "snapshot_id": request["snapshot_id"],
        "snapshot_hash": request["hash"] if final else "",
        "snapshot_at": format_time(request["created_ns"]) if final else "",
        "receivers": [],
        "senders": [request["user_id"]],
        "senders_hash": "",
        "senders_threshold": 1,
        "signers": [request["user_id"]] if final else [],
        "views": msgspec.json.decode(request["views"]),
    }


def snapshot_shape(snapshot: Row, withdrawal_hash: str) -> Shape:
    """A transfer in or out."""
    told: Shape = {
        "type": "snapshot",
        "snapshot_id": snapshot["id"],
        "user_id": snapshot["user_id"],
        "opponent_id": snapshot["opponent_id"],
        "transaction_hash": snapshot["hash"],
        "asset_id": snapshot["asset"],
        "kernel_asset_id": kernel_asset(snapshot["asset"]),
        "amount": format_amount(int(snapshot["units"])),
        "memo": snapshot["memo"],
        "request_id": snapshot["request_id"],
        "trace_id": snapshot["request_id"],
        "created_at": format_time(snapshot["created_ns"]),
    }
    if snapshot["deposit_hash"]:
        sender, hashed = snapshot["deposit_sender"], snapshot["deposit_hash"]
        told["deposit"] = {"deposit_hash": hashed, "deposit_index": 0, "sender": sender}
    if snapshot["receiver"]:
        told["withdrawal"] = {"withdrawal_hash": withdrawal_hash, "receiver": snapshot["receiver"]}
    return told


def deposit_shape(deposit: Row) -> Shape:
    """A deposit that waits."""
    return {
        "deposit_id": deposit["id"],
        "transaction_hash": deposit["hash"],
        "amount": format_amount(int(deposit["units"])),
        "confirmations": 0,
        "threshold": 1,
        "created_at": format_time(deposit["created_ns"]),
    }


def message_shape(message: Row) -> Shape:
    """A message as Blaze pushes it."""
    at = format_time(message["created_ns"])
    return {
        "type": "message",
        "conversation_id": message["conversation_id"],
        "user_id": message["sender_id"],
        "session_id": "",
        "message_id": message["message_id"],
        "category": message["category"],
        "data": message["data"],
        "data_base64": message["data"],
        "status": message["status"],
        "source": "LIST_PENDING_MESSAGES" if message["status"] == "DELIVERED" else "CREATE_MESSAGE",
        "created_at": at,
        "updated_at": at,
    }


def _time(at_ns: int) -> str | None:
    return format_time(at_ns) if at_ns else None
