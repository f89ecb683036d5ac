"""The page for people: what is followed, how far behind, and where to look further.

One document without script or anything from elsewhere. All text on it is escaped, and what does not print is
spelt out, so that a file name cannot pretend to be another.
"""

from __future__ import annotations

import html
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.view import ProbeView, SourceView, View

_TEXT_LIMIT = 300  # characters of a name or an error
_REFRESH = 30  # seconds, so that a page on the wall stays true
_LATE = 60  # seconds behind from which a log is not called well followed

_STYLE = """\
:root{color-scheme:light dark;--ground:#f6f7f8;--card:#fff;--text:#1b1f24;--quiet:#59636e;--line:#d9dee3;\
--link:#0b57b0;--good:#1a7f4b;--busy:#8a6100;--bad:#c0262d}
@media (prefers-color-scheme:dark){:root{--ground:#0f1215;--card:#171b20;--text:#e3e7eb;--quiet:#98a3af;\
--line:#2b323a;--link:#7ab4f5;--good:#4cc38a;--busy:#e0b04a;--bad:#ff7b7b}}
*{box-sizing:border-box}
html{font-size:clamp(.9375rem,.55rem + .5vw,1.75rem)}
body{margin:0;background:var(--ground);color:var(--text);line-height:1.45;\
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;\
font-variant-numeric:tabular-nums}
.wide{max-width:76rem;margin:0 auto;padding:0 1.25rem}
header{border-bottom:1px solid var(--line);background:var(--card)}
header .wide{display:flex;align-items:baseline;gap:.75rem;padding-top:.7rem;padding-bottom:.7rem}
h1{margin:0;font-size:1.1rem;font-weight:650}
h2{margin:1.75rem 0 .5rem;font-size:.95rem;font-weight:650}
small,.quiet{color:var(--quiet);font-size:.85rem}
a{color:var(--link);text-underline-offset:.15em}
code,.name{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;\
font-size:.88em}
.verdict{margin:1.5rem 0 1rem;font-size:1.35rem;font-weight:600;display:flex;align-items:baseline;gap:.6rem}
.mark::before{content:"";display:inline-block;width:.62em;height:.62em;border-radius:50%;background:currentColor}
.good{color:var(--good)}.busy{color:var(--busy)}.bad{color:var(--bad)}
.busy.mark::before{border-radius:1px}
.bad.mark::before{border-radius:1px;transform:rotate(45deg)}
.card,dl{background:var(--card);border:1px solid var(--line);border-radius:.4rem}
dl{display:grid;grid-template-columns:repeat(4,1fr);margin:0;overflow:hidden}
dl div{padding:.6rem .9rem;box-shadow:-1px -1px 0 var(--line)}
dt{color:var(--quiet);font-size:.82rem}
dd{margin:0;font-size:1.2rem;font-weight:600}
table{width:100%;border-collapse:collapse}
th,td{padding:.45rem .9rem;text-align:left;vertical-align:baseline;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--quiet);font-weight:500;font-size:.82rem;white-space:nowrap}
tbody th{font-weight:500;overflow-wrap:anywhere}
td{white-space:nowrap}
.number{text-align:right}
.error{display:block;white-space:normal;overflow-wrap:anywhere;font-family:inherit;color:var(--bad);font-size:.85rem}
.state{display:inline-flex;align-items:baseline;gap:.45em}
.empty{padding:.9rem;margin:0}
ul{display:flex;flex-wrap:wrap;align-items:baseline;gap:.35rem 1.5rem;margin:0;padding:0;list-style:none}
footer{margin:1.75rem 0 2rem}
@media (max-width:54rem){
dl{grid-template-columns:repeat(2,1fr)}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,tbody,tr,tbody th,td{display:block}
tr{padding:.55rem .9rem;border-top:1px solid var(--line)}
tbody tr:first-child{border-top:0}
tbody th,td{border:0;padding:.1rem 0;white-space:normal}
tbody th{padding-bottom:.25rem}
td{display:flex;justify-content:space-between;gap:1rem}
td::before{content:attr(data-label);color:var(--quiet)}
}
"""

STYLE_SOURCE = f"'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
"""The Content-Security-Policy source that allows the page's own style, and no other."""

_COLUMNS = ("Log", "Mail server", "State", "Lines read", "Behind", "Last event")


_PROBE_COLUMNS = ("Probe", "State", "Last success", "Not yet arrived")


def render(view: View, telemetry_path: str, now: float, probes: Sequence[ProbeView] = ()) -> str:
    """The page as of `now`, in seconds since the epoch."""
    sources = view.sources()
    troubles = view.troubles()
    verdict, mark = _with_probes(_verdict(sources, is_ready=view.is_ready()), probes)
    mark = "bad" if troubles else mark
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="{_REFRESH}">
<title>{verdict} &ndash; mailstat</title>
<style>{_STYLE}</style>
</head>
<body>
<header><div class="wide"><h1>mailstat</h1><small>{text(view.version)}</small></div></header>
<main class="wide">
<p class="verdict {mark} mark">{verdict}</p>
{"".join(f'<p class="error">{text(trouble)}</p>' for trouble in troubles)}\
<dl>{_figures(sources, uptime=now - view.started)}</dl>
<h2>Logs</h2>
<div class="card">{_table(sources, now)}</div>
{_probes(probes, now)}\
<h2>Look further</h2>
<ul>
<li><a href="{text(telemetry_path)}">Metrics</a></li>
<li><a href="/-/healthy">Health</a></li>
<li><a href="/-/ready">Readiness</a></li>
<li class="quiet"><code>POST /-/reload</code> reads the configuration again</li>
</ul>
<footer class="quiet">As of {_moment(now)}; renews itself every {_REFRESH} seconds.</footer>
</main>
</body>
</html>
"""


def text(value: str) -> str:
    """Text for the page: bounded, escaped, with what does not print (controls, direction marks) spelt out."""
    short = value if len(value) <= _TEXT_LIMIT else value[:_TEXT_LIMIT] + "…"
    return html.escape("".join(char if char.isprintable() else ascii(char)[1:-1] for char in short))


def _verdict(sources: Sequence[SourceView], *, is_ready: bool) -> tuple[str, str]:
    down = sum(not source.is_up for source in sources)
    if not sources:
        return "No log is followed", "bad"
    if down:
        return f"{down} of {_count(len(sources), 'log')} cannot be followed", "bad"
    strange = sum(source.error is not None for source in sources)
    if strange:
        return f"{strange} of {_count(len(sources), 'log')} cannot be understood", "bad"
    if not is_ready:
        return "Reading the existing logs", "busy"
    lag = _lag(sources)
    if lag >= _LATE:
        return f"Following {_count(len(sources), 'log')}, {_duration(lag)} behind", "busy"
    return f"Following {_count(len(sources), 'log')}", "good"


def _with_probes(verdict: tuple[str, str], probes: Sequence[ProbeView]) -> tuple[str, str]:
    failing = sum(probe.reason is not None for probe in probes)
    if not failing:
        return verdict
    return f"{verdict[0]}; {failing} of {_count(len(probes), 'probe')} failing", "bad"


def _furthest(sources: Sequence[SourceView]) -> str:
    is_known = any(source.lag_seconds is not None for source in sources)
    return _duration(_lag(sources)) if is_known else "&ndash;"


def _lag(sources: Iterable[SourceView]) -> float:
    return max((source.lag_seconds or 0 for source in sources), default=0)


def _figures(sources: Sequence[SourceView], *, uptime: float) -> str:
    figures = {
        "Logs followed": f"{sum(source.is_up for source in sources)} of {len(sources)}",
        "Lines read": f"{sum(source.lines for source in sources):,}",
        "Furthest behind": _furthest(sources),
        "Running for": _duration(uptime),
    }
    return "".join(f"<div><dt>{name}</dt><dd>{figure}</dd></div>" for name, figure in figures.items())


def _table(sources: Iterable[SourceView], now: float) -> str:
    rows = "".join(_row(source, now) for source in sources)
    if not rows:
        return '<p class="empty">No mail log was found or configured: name one under <code>sources</code>.</p>'
    heads = "".join(f'<th scope="col"{_class(column)}>{column}</th>' for column in _COLUMNS)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _row(source: SourceView, now: float) -> str:
    reason = (source.error or "").removeprefix(f"{source.name}: ")
    error = f'<span class="error">{text(reason)}</span>' if reason else ""
    cells = (
        text(", ".join(source.mtas)) or "&ndash;",
        f'<span class="state {_mark(source)} mark">{text(source.state)}</span>',
        f"{source.lines:,}",
        _behind(source),
        _ago(source.last_event, now),
    )
    columns = zip(_COLUMNS[1:], cells, strict=True)
    tds = "".join(f'<td{_class(column)} data-label="{column}">{cell}</td>' for column, cell in columns)
    return f'<tr><th scope="row"><span class="name">{text(source.name)}</span>{error}</th>{tds}</tr>'


def _probes(probes: Sequence[ProbeView], now: float) -> str:
    """The probes, where there are any."""
    if not probes:
        return ""
    heads = "".join(f'<th scope="col"{_class(column)}>{column}</th>' for column in _PROBE_COLUMNS)
    rows = "".join(_probe(probe, now) for probe in probes)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<h2>Probes</h2>\n<div class="card">{table}</div>\n'


def _probe(probe: ProbeView, now: float) -> str:
    error = f'<span class="error">{text(probe.failure)}</span>' if probe.failure else ""
    mark = "bad" if probe.reason else "good"
    cells = (
        f'<span class="state {mark} mark">{text(probe.reason or "success")}</span>',
        _ago(probe.last_success, now),
        f"{probe.pending:,}",
    )
    columns = zip(_PROBE_COLUMNS[1:], cells, strict=True)
    tds = "".join(f'<td{_class(column)} data-label="{column}">{cell}</td>' for column, cell in columns)
    return f'<tr><th scope="row"><span class="name">{text(probe.name)}</span>{error}</th>{tds}</tr>'


def _mark(source: SourceView) -> str:
    if not source.is_up or source.error:
        return "bad"
    return "busy" if _lag([source]) >= _LATE else "good"


def _class(column: str) -> str:
    return ' class="number"' if column in (*_COLUMNS[3:], *_PROBE_COLUMNS[2:]) else ""


def _behind(source: SourceView) -> str:
    if source.lag_bytes is None:
        return "&ndash;"
    if source.lag_bytes == 0:
        return "nothing"
    seconds = "" if source.lag_seconds is None else f", {_duration(source.lag_seconds)}"
    return f"{_size(source.lag_bytes)}{seconds}"


def _ago(time: float | None, now: float) -> str:
    if time is None:
        return "&ndash;"
    ago = f"{_duration(now - time)} ago" if time <= now else "just now"
    return f'<time datetime="{_moment(time)}" title="{_moment(time)}">{ago}</time>'


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _duration(seconds: float) -> str:
    """`42 s`, `5 min 10 s`, `3 h 7 min`, `12 d 4 h`: the two units that matter."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    whole = max(0, int(seconds))
    for (unit, size), (lesser, lesser_size) in pairwise(units):
        if whole >= size:
            rest = whole % size // lesser_size
            return f"{whole // size:,} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"


def _size(amount: int) -> str:
    size = float(amount)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
