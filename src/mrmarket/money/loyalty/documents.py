"""Writes a result: tables as CSV, records as JSON, a report as HTML; all of them or none."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from mrmarket.core.crash import reach
from mrmarket.core.decimals import format_decimal, format_units
from mrmarket.money.loyalty.errors import CannotWriteError, FolderRefusedError
from mrmarket.money.loyalty.last_balance import NAME as LAST_BALANCE
from mrmarket.money.loyalty.outcome import Outcome
from mrmarket.money.loyalty.prices import written_day
from mrmarket.money.loyalty.programme import MICRO_USD
from mrmarket.money.loyalty.report import written_report
from mrmarket.money.loyalty.standing import Standing
from mrmarket.money.loyalty.tiers import tier_history

FILES: Final = (
    "balances.csv",
    "daily_usd.csv",
    "rewards.csv",
    "providers.json",
    "program_state.json",
    "report.html",
)

_JSON: Final = msgspec.json.Encoder(decimal_format="number")


class TierChange(msgspec.Struct, frozen=True):
    """A day on which a tier changed."""

    date: str
    tier: int


class ProviderRecord(msgspec.Struct, frozen=True):
    """A provider in the seed's shape. Amounts are exact JSON numbers, USD with six digits, rounded down."""

    daily_balances: dict[str, Decimal]
    current_tier: int
    tier_history: list[TierChange]
    weighted_liquidity: Decimal
    reward: Decimal


class ProgramState(msgspec.Struct, frozen=True):
    """The programme in the seed's shape."""

    total_weighted_liquidity: Decimal
    total_rewards: Decimal
    distributed_rewards: Decimal
    remaining_rewards: Decimal
    active_providers: int
    current_date: str
    program_start_date: str
    program_end_date: str


def write(outcome: Outcome, folder: Path) -> None:
    """Write the six files into a folder, at once.

    They are made in a new folder beside it, which then takes its place. A folder of an earlier run is
    replaced; one that holds anything else is refused.

    Raises:
        FolderRefusedError: there is a file that is not of this command.
        CannotWriteError: the disk is full, or the place is not ours to write to.
    """
    folder = folder.resolve()
    refuse_strangers(folder)
    try:
        _put(outcome, folder)
    except OSError as error:
        raise CannotWriteError(folder, error) from error


def _put(outcome: Outcome, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".new", dir=folder.parent))
    aside = fresh.with_suffix(".old")
    try:
        _write_all(outcome, fresh)
        fresh.chmod(0o755)
        reach("loyalty.written")
        if folder.exists():
            folder.rename(aside)
            reach("loyalty.set_aside")
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if aside.exists():
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def refuse_strangers(folder: Path) -> None:
    """Refuse a folder that holds what this command did not write; worth knowing before a long run."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FolderRefusedError(folder, "no files, it is one itself")
    strangers = sorted(entry.name for entry in folder.iterdir() if entry.name not in FILES)
    if strangers:
        raise FolderRefusedError(folder, strangers[0])


def _write_all(outcome: Outcome, folder: Path) -> None:
    _write_csv(folder / FILES[0], ("provider", "token", "balance"), _balances(outcome))
    _write_csv(folder / FILES[1], ("provider", "date", "usd"), _daily_usd(outcome))
    _write_csv(folder / FILES[2], ("provider", "weight", "tier", "multiplier", "reward"), _rewards(outcome))
    with (folder / FILES[3]).open("wb") as file:
        for piece in _providers_json(outcome):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    (folder / FILES[4]).write_bytes(msgspec.json.format(_JSON.encode(_program_state(outcome))) + b"\n")
    (folder / FILES[5]).write_text(written_report(outcome), encoding="utf-8")


def _write_csv(path: Path, headings: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(headings)
        writer.writerows(rows)
        file.flush()
        os.fsync(file.fileno())


def _plain(value: float) -> str:
    """A float's shortest exact digits, without exponent."""
    return format_decimal(Decimal(repr(value)))


def _recorded(outcome: Outcome) -> bool:
    return outcome.model == LAST_BALANCE


def _balances(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    if _recorded(outcome):
        for last in outcome.last or ():
            for symbol, amount in sorted(last.balances.items()):
                yield last.provider, symbol, _plain(amount)
        return
    decimals = {token.symbol: token.decimals for pool in outcome.pools for token in pool.tokens}
    for standing in outcome.standings:
        for symbol, units in sorted(standing.balances.items()):
            yield standing.provider, symbol, format_units(units, decimals[symbol])


def _daily_usd(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    dates = [written_day(day_ms) for day_ms in outcome.programme.listed_days_ms]
    if _recorded(outcome):
        for last in outcome.last or ():
            for date, usd in zip(dates, last.daily, strict=True):
                yield last.provider, date, _plain(usd)
        return
    for standing in outcome.standings:
        for date, micro_usd in zip(dates, standing.daily, strict=True):
            yield standing.provider, date, format_units(micro_usd, 6)


def _rewards(outcome: Outcome) -> Iterator[tuple[str, str, int, str, str]]:
    for reward in outcome.rewards:
        yield (
            reward.provider,
            reward.weight,
            reward.rating.tier,
            written_tenths(reward.rating.tenths),
            format_units(reward.units, outcome.programme.decimals),
        )


def written_tenths(tenths: int) -> str:
    """A multiplier such as `1.2`."""
    return f"{tenths // 10}.{tenths % 10}"


def _providers_json(outcome: Outcome) -> Iterator[bytes]:
    """An object of provider records, piece by piece: at scale it should not be held at once."""
    programme = outcome.programme
    dates = [written_day(day_ms) for day_ms in programme.listed_days_ms]
    standings = {standing.provider: standing for standing in outcome.standings}
    last = {each.provider: each for each in outcome.last or ()} if _recorded(outcome) else {}
    yield b"{"
    for place, reward in enumerate(outcome.rewards):
        standing = standings.get(reward.provider)
        if recorded := last.get(reward.provider):
            daily = [Decimal(repr(usd)) for usd in recorded.daily]
        else:
            daily = [_usd(value) for value in standing.daily] if standing else []
        record = ProviderRecord(
            daily_balances=dict(zip(dates, daily, strict=True)),
            current_tier=reward.rating.tier,
            tier_history=_history(standing, programme.stop_ms),
            weighted_liquidity=_usd(reward.mean_micro_usd),
            reward=Decimal(format_units(reward.units, programme.decimals)),
        )
        yield b",\n " if place else b"\n "
        yield msgspec.json.encode(reward.provider) + b": " + _JSON.encode(record)
    yield b"\n}\n"


def _history(standing: Standing | None, last_ms: int) -> list[TierChange]:
    if standing is None:
        return []
    return [TierChange(written_day(at_ms), tier) for at_ms, tier in tier_history(standing.runs, last_ms)]


def _program_state(outcome: Outcome) -> ProgramState:
    programme = outcome.programme
    total = Decimal(format_units(programme.total_units, programme.decimals))
    paid = sum(reward.units for reward in outcome.rewards)
    distributed = Decimal(format_units(paid, programme.decimals))
    return ProgramState(
        total_weighted_liquidity=_usd(sum(reward.mean_micro_usd for reward in outcome.rewards)),
        total_rewards=total,
        distributed_rewards=distributed,
        remaining_rewards=total - distributed,
        active_providers=sum(standing.since_ms is not None for standing in outcome.standings),
        current_date=written_day(programme.stop_ms),
        program_start_date=written_day(programme.start_ms),
        program_end_date=written_day(programme.end_ms),
    )


def _usd(micro_usd: int) -> Decimal:
    return Decimal(micro_usd) / MICRO_USD
