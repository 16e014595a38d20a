"""The report: one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from mrmarket.core.decimals import format_units
from mrmarket.money.loyalty.outcome import Outcome, Reward
from mrmarket.money.loyalty.plot import stacked_counts, tier_counts, tier_strip, time_axis
from mrmarket.money.loyalty.prices import written_day, written_time
from mrmarket.money.loyalty.programme import Programme
from mrmarket.money.loyalty.prose import ASSUMPTIONS, MODEL_WORDS
from mrmarket.money.loyalty.standing import Standing
from mrmarket.money.loyalty.tiers import TIERS

STRIPS: Final = 40
"""Providers whose own progression is drawn: those with the largest rewards."""
ROWS: Final = 200
"""Providers in the table; the files have them all."""
_COUNTED: Final = 5_000
"""Up to so many providers are counted by tier and day."""
_COMPARED: Final = ("twal", "last_balance")

_STYLE: Final = """
:root{color-scheme:light dark;--page:#fcfcfb;--ink:#1b1b1a;--dim:#5c5b57;--line:#dddcd7;--track:#f0efec;
--t1:#b7d3f6;--t2:#6da7ec;--t3:#2a78d6;--t4:#104281}
@media(prefers-color-scheme:dark){:root{--page:#1a1a19;--ink:#f2f1ee;--dim:#b3b1a9;--line:#3a3936;--track:#262624;
--t1:#184f95;--t2:#2a78d6;--t3:#6da7ec;--t4:#cde2fb}} *{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 16px 48px} h1{font-size:24px;line-height:1.25;margin:0 0
4px} h2{font-size:17px;margin:36px 0 8px} p{margin:6px 0;max-width:76ch}
.dim,.axis,th,dt{color:var(--dim)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(165px,1fr));gap:12px 20px;margin:20px 0}
dt{font-size:13px} dd{margin:0;font-size:18px;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
svg{display:block;width:100%} .counts svg{height:160px;background:var(--track)}
.t1{fill:var(--t1)}.t2{fill:var(--t2)}.t3{fill:var(--t3)}.t4{fill:var(--t4)}
.axis{display:flex;justify-content:space-between;font-size:12px;margin-top:4px}
.key{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;margin:4px 0 10px} .key
svg{display:inline-block;width:12px;height:12px;margin-right:6px;vertical-align:-1px}
.strip{display:grid;grid-template-columns:11ch minmax(0,1fr) 5ch;gap:0
10px;align-items:center;font-size:13px} .strip svg{height:10px;background:var(--track)} .strip
span,td.n,th.n{text-align:right;font-variant-numeric:tabular-nums} .strip .axis{grid-column:2}
code{font:12.5px ui-monospace,monospace} .wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px} th,td{padding:5px 12px 5px
0;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap} th{font-weight:500}
td:last-child,th:last-child{padding-right:0} li{margin:4px 0;max-width:76ch}
"""


def written_report(outcome: Outcome) -> str:
    """The whole page."""
    programme = outcome.programme
    title = f"Loyalty rewards {written_day(programme.start_ms)} to {written_day(programme.end_ms)}"
    by_size = sorted(outcome.rewards, key=lambda reward: (-reward.units, reward.provider))
    standings = {standing.provider: standing for standing in outcome.standings}
    parts = [
        f"<h1>{escape(title).replace('-', '&#8209;')}</h1>",
        f"<p class=dim>{escape(MODEL_WORDS[outcome.model])}</p>",
        _facts(outcome),
        *_progression(outcome, by_size, standings),
        *_comparison(outcome, by_size, standings),
        "<h2>What this rests on</h2>",
        _list(_assumptions(programme)),
        "<h2>What the data showed</h2>",
        _list(f"{remark.code}: {remark.count:,} {remark.sentence}." for remark in outcome.remarks)
        if outcome.remarks
        else "<p>Nothing that needs a remark.</p>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</html>\n"
    )


def _facts(outcome: Outcome) -> str:
    programme = outcome.programme
    held = sum(standing.since_ms is not None for standing in outcome.standings)
    facts = [
        ("paid in all", format_units(sum(reward.units for reward in outcome.rewards), programme.decimals)),
        ("model", outcome.model),
        ("as of, UTC", written_time(programme.stop_ms)[:16].replace("T", " ")),
        ("providers", f"{len(outcome.rewards):,}"),
        ("with a position now", f"{held:,}"),
        ("events", f"{outcome.events:,}"),
    ]
    return "<dl>" + "".join(f"<div><dt>{k}<dd>{escape(v)}</div>" for k, v in facts) + "</dl>"


def _progression(
    outcome: Outcome, by_size: Sequence[Reward], standings: dict[str, Standing]
) -> Iterator[str]:
    programme = outcome.programme
    start_ms, stop_ms = programme.start_ms, programme.stop_ms
    yield "<h2>Tiers by time held</h2>"
    yield _key()
    if len(outcome.standings) <= _COUNTED:
        days = [day_ms for day_ms in programme.listed_days_ms if day_ms <= programme.last_ms]
        counts = tier_counts([standing.runs for standing in outcome.standings], days)
        most = max((sum(row) for row in counts), default=0)
        yield f"<p class=dim>Providers by tier at each midnight; the full height is {most:,}.</p>"
        yield f"<div class=counts>{stacked_counts(counts)}{time_axis(start_ms, stop_ms)}</div>"
    drawn = [reward for reward in by_size if reward.provider in standings][:STRIPS]
    yield f"<h2>Progression of the {len(drawn)} largest</h2>"
    yield "<p class=dim>Each bar is one provider; where it is empty the position was below the minimum.</p>"
    for reward in drawn:
        strip = tier_strip(standings[reward.provider].runs, start_ms, stop_ms)
        multiplier = f"×{reward.rating.tenths // 10}.{reward.rating.tenths % 10}"
        yield f"<div class=strip>{_name(reward.provider)}{strip}<span>{multiplier}</span></div>"
    yield f"<div class=strip>{time_axis(start_ms, stop_ms)}</div>"


def _key() -> str:
    words = ["less than 5 weeks, ×1.0", "5 to 12, ×1.2", "13 to 20, ×1.5", "21 and more, ×2.0"]
    marks = (
        f'<span><svg viewBox="0 0 1 1" aria-hidden="true">'
        f'<rect class="t{tier.number}" width="1" height="1"/></svg>tier {tier.number}: {word}</span>'
        for tier, word in zip(TIERS, words, strict=True)
    )
    return f"<div class=key>{''.join(marks)}</div>"


def _comparison(outcome: Outcome, by_size: Sequence[Reward], standings: dict[str, Standing]) -> Iterator[str]:
    yield "<h2>Time-weighted and by last balance, side by side</h2>"
    if not outcome.recorded:
        yield "<p>There is no last balance to compare with: the events came as a table.</p>"
    shown = by_size[:ROWS]
    yield (
        "<p class=dim>Rewards. Time weighting pays for what was there while it was there; the last balance "
        f"pays for what was left at the end. {len(shown):,} of {len(by_size):,} providers, by reward; "
        "rewards.csv has all.</p>"
    )
    heads = [
        "provider",
        "weeks held",
        "mean USD",
        "multiplier",
        "time-weighted",
        "last balance",
        "difference",
    ]
    if outcome.model not in _COMPARED:
        heads.append(outcome.model)
    cells = "".join(f'<th scope="col"{_number(place)}>{head}' for place, head in enumerate(heads))
    rows = (_row(outcome, reward, standings.get(reward.provider)) for reward in shown)
    yield (
        '<div class=wide tabindex="0" role="region" aria-label="Rewards side by side">'
        f"<table><thead><tr>{cells}<tbody>{''.join(rows)}</table></div>"
    )


def _row(outcome: Outcome, reward: Reward, standing: Standing | None) -> str:
    programme = outcome.programme
    honest = outcome.honest.get(reward.provider, 0)
    recorded = outcome.recorded.get(reward.provider, 0)
    mean = standing.integral // programme.duration_ms if standing else 0
    cells = [
        _name(reward.provider),
        str(standing.weeks(programme.stop_ms)) if standing else "0",
        _digits(mean // 10_000, 2),
        f"×{reward.rating.tenths // 10}.{reward.rating.tenths % 10}",
        _digits(honest, programme.decimals),
        _digits(recorded, programme.decimals) if outcome.recorded else "",
        _digits(honest - recorded, programme.decimals) if outcome.recorded else "",
    ]
    if outcome.model not in _COMPARED:
        cells.append(_digits(reward.units, programme.decimals))
    return "<tr>" + "".join(f"<td{_number(place)}>{cell}" for place, cell in enumerate(cells))


def _digits(units: int, decimals: int) -> str:
    """All digits after the point, so that a column lines up."""
    whole, part = divmod(abs(units), 10**decimals)
    sign = "−" if units < 0 else ""
    return f"{sign}{whole:,}.{part:0{decimals}}" if decimals else f"{sign}{whole:,}"


def _number(place: int) -> str:
    return " class=n" if place else ""


def _name(provider: str) -> str:
    """A long address by its ends; the whole is in the hint."""
    short = provider if len(provider) <= 13 else f"{provider[:6]}…{provider[-4:]}"  # noqa: PLR2004 - what a row holds
    return f'<code title="{escape(provider)}">{escape(short)}</code>'


def _assumptions(programme: Programme) -> list[str]:
    minimum = format_units(programme.min_micro_usd, 6)
    return [*ASSUMPTIONS, f"A position counts as held while it is worth at least {minimum} USD."]


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}" for sentence in sentences) + "</ul>"
