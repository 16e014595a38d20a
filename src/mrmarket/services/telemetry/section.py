"""`[telemetry]`: figures and logs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class TelemetrySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[telemetry]`: where Prometheus asks, and what is logged where."""

    host: str = "127.0.0.1"
    """Of the port below. It asks for no password: keep it where only the owner's machines reach it."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """Serves `/metrics`, `/healthz` and `/readyz` of this process; 0 for no such port."""
    angel_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """The same of the Angel, at the same address; 0 for none."""
    log_level: Literal["debug", "info", "warning"] = "info"
    log_stderr: Literal["warnings", "json"] = "warnings"
    """`warnings` for people; `json` sends every line to stderr too, as containers want it."""
    log_file_mb: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10
    log_files: Annotated[int, msgspec.Meta(ge=2, le=100)] = 4
    """How many files of that size are kept."""
    order_lines_per_s: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 100
    """Most lines about orders; what is above it is counted, and is in the event log anyway."""
