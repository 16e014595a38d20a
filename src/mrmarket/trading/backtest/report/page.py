"""The page around charts and tables: one HTML file that needs nothing but itself, in light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_STYLE: Final = """
:root{color-scheme:light dark;--page:#fcfcfb;--card:#fff;--ink:#1b1b1a;--dim:#5c5b57;--line:#dddcd7;
--grid:#eceae5;
--rule:#a3a19a;--c0:#8a8881;--c1:#2a78d6;--c2:#c2571a;--c3:#1a8a5a;--c4:#8a4fc4;--c5:#b8860b;--c6:#c43d6b;
--c7:#0f8b9d;--c8:#6b6f1d;--good:#1a7f4e;--bad:#b3372f}
@media(prefers-color-scheme:dark){:root{--page:#171716;--card:#1f1f1d;--ink:#f2f1ee;--dim:#b3b1a9;--line:#3a3936;
--grid:#2b2b28;--rule:#77756e;--c0:#8f8d86;--c1:#6da7ec;--c2:#f0925a;--c3:#4fc18c;--c4:#bd92ea;--c5:#e0b84a;
--c6:#ee7fa3;--c7:#4fc6d6;--c8:#b9be5b;--good:#5fcf95;--bad:#f2857d}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1200px;margin:0 auto;padding:24px 16px 56px}
h1{font-size:24px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere} h2{font-size:18px;margin:40px 0 8px}
h3{font-size:15px;margin:0 0 4px;font-weight:600} p{margin:6px 0;max-width:78ch}
.dim,th,dt,.unit,.xs,.ys{color:var(--dim)} .good{color:var(--good)} .bad{color:var(--bad)}
.warn{border-left:4px solid var(--c2);padding:2px 0 2px 12px}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px 20px;margin:20px 0}
dt{font-size:13px} dd{margin:0;font-size:19px;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
dd small{font-size:13px;color:var(--dim)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr));gap:20px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;
padding:14px 16px 10px;min-width:0}
figure.wide{grid-column:1/-1} figcaption{font-size:13px;color:var(--dim);margin-top:6px;max-width:90ch}
.unit{font-size:12px;margin:0 0 2px} .xunit{text-align:right;margin:0}
.chart{display:grid;grid-template-columns:var(--y) minmax(0,1fr);padding-top:7px;
font-size:12px;font-variant-numeric:tabular-nums}
.chart svg{display:block;width:100%;height:210px;overflow:visible} .wide .chart svg{height:250px}
.ys{position:relative} .ys span{position:absolute;right:8px;transform:translateY(50%);white-space:nowrap}
.xs{grid-column:2;position:relative;height:22px} .xs span{position:absolute;top:5px;
transform:translateX(-50%);
white-space:nowrap;text-align:center;line-height:1.3}
.xs .end{transform:translateX(-85%)} .xs.tall{height:40px}
svg path,svg rect{vector-effect:non-scaling-stroke} path{fill:none}
.grid{stroke:var(--grid)} .rule{stroke:var(--rule)} .whisker{stroke:var(--c0);stroke-width:1.5}
.line{stroke-width:1.75;stroke-linejoin:round} .dot{stroke-width:6.5;stroke-linecap:round} .area{opacity:.16}
.line.c1,.dot.c1{stroke:var(--c1)}.line.c2,.dot.c2{stroke:var(--c2)}.line.c3,.dot.c3{stroke:var(--c3)}
.line.c4,.dot.c4{stroke:var(--c4)}.line.c5,.dot.c5{stroke:var(--c5)}.line.c6,.dot.c6{stroke:var(--c6)}
.line.c7,.dot.c7{stroke:var(--c7)}.line.c8,.dot.c8{stroke:var(--c8)}.line.c0,.dot.c0{stroke:var(--c0)}
.area.c1,.bar.c1{fill:var(--c1)}.area.c2,.bar.c2{fill:var(--c2)}.area.c3,.bar.c3{fill:var(--c3)}
.area.c4,.bar.c4{fill:var(--c4)}.area.c5,.bar.c5{fill:var(--c5)}.area.c6,.bar.c6{fill:var(--c6)}
.area.c7,.bar.c7{fill:var(--c7)}.area.c8,.bar.c8{fill:var(--c8)}.area.c0,.bar.c0{fill:var(--c0)}
.key{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13px;margin:0 0 6px;max-width:none}
.key i{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:6px;vertical-align:3px}
i.c0{background:var(--c0)}i.c1{background:var(--c1)}i.c2{background:var(--c2)}i.c3{background:var(--c3)}
i.c4{background:var(--c4)}i.c5{background:var(--c5)}i.c6{background:var(--c6)}i.c7{background:var(--c7)}
i.c8{background:var(--c8)}
.scroll{overflow-x:auto} table{border-collapse:collapse;font-size:13.5px;min-width:min(100%,420px)}
th,td{padding:5px 18px 5px 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:500;white-space:nowrap} td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;
white-space:nowrap} td.w{min-width:18ch} td:last-child,th:last-child{padding-right:0}
tr.marked td{font-weight:600} code,pre{font:12.5px/1.5 ui-monospace,monospace}
code{overflow-wrap:anywhere} pre{margin:8px 0;padding:10px 12px;background:var(--card);
border:1px solid var(--line);border-radius:8px;white-space:pre-wrap;overflow-wrap:anywhere}
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure at the head of a page."""

    name: str
    value: str
    says: str = ""
    """Small print beside it."""
    tone: str = ""
    """`good`, `bad`, or nothing."""


def page(title: str, parts: Iterable[str]) -> str:
    """The whole file."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</html>\n"
    )


def facts(each: Iterable[Fact]) -> str:
    """The figures a reader looks for first."""
    cells = []
    for fact in each:
        tone = f' class="{fact.tone}"' if fact.tone else ""
        small = f" <small>{escape(fact.says)}</small>" if fact.says else ""
        cells.append(f"<div><dt>{escape(fact.name)}</dt><dd{tone}>{escape(fact.value)}{small}</dd></div>")
    return f"<dl>{''.join(cells)}</dl>"


def figure(title: str, chart: str, caption: str = "", *, key: str = "", wide: bool = False) -> str:
    """A chart with its title, its key and a sentence on how to read it."""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    kind = ' class="wide"' if wide else ""
    return f"<figure{kind}><h3>{escape(title)}</h3>{key}{chart}{below}</figure>"


def figures(each: Iterable[str]) -> str:
    """Charts beside one another where there is room."""
    inside = "".join(part for part in each if part)
    return f'<div class="charts">{inside}</div>' if inside else ""


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = (), marked: int = -1
) -> str:
    """A table; the columns in `numbers` stand to the right, the row `marked` stands out."""
    right = set(numbers)

    def cell(place: int) -> str:
        return ' class="n"' if place in right else ' class="w"' if place == len(heads) - 1 else ""

    head = "".join(
        f'<th scope="col"{cell(place) if place in right else ""}>{escape(word)}</th>'
        for place, word in enumerate(heads)
    )
    body = "".join(
        f"<tr{' class=marked' if number == marked else ''}>"
        + "".join(f"<td{cell(place)}>{escape(word)}</td>" for place, word in enumerate(row))
        + "</tr>"
        for number, row in enumerate(rows)
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def heading(words: str) -> str:
    """A chapter."""
    return f"<h2>{escape(words)}</h2>"


def paragraph(words: str, tone: str = "") -> str:
    """A sentence or two; `tone` is `dim`, `warn` or nothing."""
    kind = f' class="{tone}"' if tone else ""
    return f"<p{kind}>{escape(words)}</p>"


def verbatim(text: str) -> str:
    """Text as it is typed."""
    return f"<pre>{escape(text)}</pre>"
