"""Events as columns: the same facts for millions of events, in memory and in a Parquet file.

Columns of the file: `provider` (text), `time_ms` (int64, UTC), `pool` (text) and `units0`, `units1`, …
(signed base units, one column a token of the pool with the most tokens; 0 where a pool has fewer). The
file's metadata has `mrmarket.pools`: JSON `[{"address", "tokens": [{"symbol", "decimals", "price_id"},
…]}, …]`. Such a file is made from checked events, each once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from mrmarket.money.loyalty.errors import CorruptEventError, FileRefusedError
from mrmarket.money.loyalty.event import LiquidityEvent, Pool

POOLS_KEY: Final = "mrmarket.pools"


@dataclass(frozen=True, slots=True)
class EventTable:
    """Events in columns `pid`, `pool`, `time_ms`, `units0`, …; ids are places in `providers` and `pools`.

    `providers` are in order of their names. The order of the rows has no meaning.
    """

    frame: pl.DataFrame
    providers: Sequence[str]
    pools: tuple[Pool, ...]

    @property
    def width(self) -> int:
        """How many tokens the widest pool has."""
        return max((len(pool.tokens) for pool in self.pools), default=0)

    def first_held_ms(self) -> dict[str, int]:
        """By price id, when a token first took part."""
        firsts = self.frame.group_by("pool").agg(pl.col("time_ms").min())
        found: dict[str, int] = {}
        for place, time_ms in firsts.iter_rows():
            for token in self.pools[place].tokens:
                found[token.price_id] = min(time_ms, found.get(token.price_id, time_ms))
        return found


def table_of(events: Sequence[LiquidityEvent]) -> EventTable:
    """Columns of checked events."""
    pools = tuple(sorted({event.pool.address: event.pool for event in events}.values()))
    places = {pool.address: place for place, pool in enumerate(pools)}
    width = max((len(pool.tokens) for pool in pools), default=0)
    names = sorted({event.provider for event in events})
    ids = {name: place for place, name in enumerate(names)}
    frame = pl.DataFrame(
        {
            "pid": pl.Series([ids[event.provider] for event in events], dtype=pl.UInt32),
            "pool": pl.Series([places[event.pool.address] for event in events], dtype=pl.UInt32),
            "time_ms": pl.Series([event.time_ms for event in events], dtype=pl.Int64),
        }
        | {
            f"units{k}": pl.Series(
                [event.units[k] if k < len(event.units) else 0 for event in events], dtype=pl.Int128
            )
            for k in range(width)
        }
    )
    return EventTable(frame, names, pools)


def write_parquet(table: EventTable, path: Path) -> None:
    """Write the file described above."""
    names = pl.Series(table.providers, dtype=pl.String)
    addresses = pl.Series([pool.address for pool in table.pools], dtype=pl.String)
    units = [f"units{k}" for k in range(table.width)]
    frame = table.frame.select(
        provider=pl.lit(names).gather(pl.col("pid")),
        time_ms=pl.col("time_ms"),
        pool=pl.lit(addresses).gather(pl.col("pool")),
        **{name: pl.col(name) for name in units},
    )
    frame.write_parquet(path, metadata={POOLS_KEY: msgspec.json.encode(table.pools).decode()})


def read_parquet(path: Path) -> EventTable:
    """Read the file described above.

    Raises:
        FileRefusedError: missing, cut, or without the columns or the pools.
        CorruptEventError: an empty field or a pool that the metadata does not have.
    """
    try:
        pools = msgspec.json.decode(
            pl.read_parquet_metadata(path).get(POOLS_KEY, "null"), type=tuple[Pool, ...]
        )
        width = max(len(pool.tokens) for pool in pools)
        units = [pl.col(f"units{k}").cast(pl.Int128) for k in range(width)]
        addresses = pl.Enum([pool.address for pool in pools])
        # Names become numbers while the file is read: ten million texts would not fit beside the rest.
        frame = (
            pl.scan_parquet(path)
            .select(
                pl.col("provider").cast(pl.Categorical),
                pl.col("pool").cast(addresses).to_physical().cast(pl.UInt32),
                pl.col("time_ms").cast(pl.Int64),
                *units,
            )
            .collect()
        )
    except (OSError, pl.exceptions.PolarsError, msgspec.DecodeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FileRefusedError(path, f"is no table of events ({reason})") from error
    if any(frame.null_count().row(0)):
        raise CorruptEventError(0, "a field of the table is empty")
    column = frame["provider"]
    codes = column.to_physical()
    first = pl.DataFrame({"code": codes, "name": column}).unique("code")
    named = first.with_columns(pl.col("name").cast(pl.String)).sort("name").with_row_index("pid")
    # The numbers that were given while reading are in no order; places in the sorted names are.
    highest = max(named["code"].to_list(), default=0)
    slots = pl.select(code=pl.int_range(highest + 1, dtype=pl.UInt32))
    lookup = slots.join(named.cast({"code": pl.UInt32}), on="code", how="left", maintain_order="left")["pid"]
    frame = frame.select(lookup.gather(codes).cast(pl.UInt32).alias("pid"), *frame.columns[1:])
    return EventTable(frame, named["name"].to_list(), pools)
