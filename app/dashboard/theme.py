"""How the dashboard looks: colours, words for numbers and ages, and the few pieces of HTML, always escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from html import escape

from streams.inert import in_cell, in_markdown, one_line, several_lines

KALSHI = "#00A37A"
POLYMARKET = "#2F6BFF"
VENUE_COLOURS = {"kalshi": KALSHI, "polymarket": POLYMARKET}
VENUE_NAMES = {"kalshi": "Kalshi", "polymarket": "Polymarket"}
INK, MUTED, LINE, PAPER = "#1B2333", "#68738A", "#E1E6EF", "#FFFFFF"
GOOD, WARN, BAD, ACCENT = "#12805C", "#B76E00", "#C62F3B", "#3B4CCA"

_TONES = {
    "good": ("#E3F5EE", GOOD),
    "warn": ("#FDF1DC", WARN),
    "bad": ("#FCE8EA", BAD),
    "info": ("#E9ECFB", ACCENT),
    "mute": ("#EEF1F6", MUTED),
}
_STATE_TONES = {
    "approved": "good", "proposed": "info", "paused": "warn", "rejected": "bad", "lapsed": "warn",
    "planned": "info", "opening": "info", "completing": "info", "unwinding": "warn", "hedged": "good", "flat": "mute",
    "escalated": "bad", "settled": "good",
    "filled": "good", "partial": "warn", "resting": "info", "sent": "info", "prepared": "mute", "unknown": "bad",
    "canceled": "mute", "rejected_order": "bad", "expired": "mute", "confirmed": "good", "provisional": "warn",
    "failed": "bad", "traded": "good", "refused": "warn", "open": "info", "passed": "mute", "closed": "mute",
    "determined": "info", "unopened": "mute", "live": "good", "stale": "warn", "crossed": "bad", "critical": "bad",
    "warning": "warn", "notice": "info", "run": "good", "pause": "warn", "reduce": "warn", "kill": "bad",
    "approve": "good", "reject": "bad",
}  # fmt: skip

_ONE_LINE = frozenset(
    {"#", "Started", "Opened", "When (UTC)", "At (UTC)", "Legs", "State", "Venue", "Age", "Marked", "Heartbeat"}
)

# As an SVG of our own: Streamlit fetches its named icons from another machine when they are the page's icon.
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32" viewBox="0 0 32 36">'
    f'<path d="M4 11h17l-4-5m4 5l-4 5" fill="none" stroke="{KALSHI}" stroke-width="3.5" stroke-linecap="round" '
    f'stroke-linejoin="round"/><path d="M27 25H10l4 5m-4-5l4-5" fill="none" stroke="{POLYMARKET}" stroke-width="3.5" '
    'stroke-linecap="round" stroke-linejoin="round"/></svg>'
)

LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="190" height="36" viewBox="0 0 190 36">'
    f'<path d="M4 11h17l-4-5m4 5l-4 5" fill="none" stroke="{KALSHI}" stroke-width="3" stroke-linecap="round" '
    f'stroke-linejoin="round"/><path d="M27 25H10l4 5m-4-5l4-5" fill="none" stroke="{POLYMARKET}" stroke-width="3" '
    'stroke-linecap="round" stroke-linejoin="round"/><text x="38" y="25" font-family="Source Sans, Arial, sans-serif" '
    f'font-size="22" font-weight="700" fill="{INK}">Crossbook</text></svg>'
)

STYLE = f"""
<style>
.stMainBlockContainer {{padding-top: 3.2rem; padding-bottom: 3rem; max-width: 1500px;}}
h1 {{font-size: 1.75rem !important; font-weight: 650 !important; letter-spacing: -.01em;
  padding: .2rem 0 .1rem !important;}}
h3 {{font-size: 1.08rem !important; font-weight: 620 !important; padding: .5rem 0 .2rem !important;}}
.cb-banner {{display: flex; flex-wrap: wrap; align-items: center; gap: .55rem 1.1rem; border: 1px solid {LINE};
  border-left: 6px solid var(--cb-mode); border-radius: .6rem; padding: .55rem .9rem; background: var(--cb-soft);
  font-size: .86rem; color: {INK};}}
.cb-banner .cb-mode {{font-weight: 700; letter-spacing: .05em; color: var(--cb-mode);}}
.cb-banner .cb-ages {{margin-left: auto; display: flex; flex-wrap: wrap; gap: .3rem .9rem; color: {MUTED};}}
.cb-banner + .cb-banner {{margin-top: .5rem;}}
.cb-banner b {{font-variant-numeric: tabular-nums; font-weight: 600;}}
.cb-chip {{display: inline-block; padding: .08rem .55rem; border-radius: 1rem; font-size: .78rem; font-weight: 600;
  white-space: nowrap;}}
.cb-tiles {{display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .7rem;}}
.cb-tile {{border: 1px solid {LINE}; border-radius: .6rem; padding: .65rem .85rem; background: {PAPER};}}
.cb-tile .cb-label {{color: {MUTED}; font-size: .78rem;}}
.cb-tile .cb-value {{font-size: 1.45rem; font-weight: 640; font-variant-numeric: tabular-nums; line-height: 1.35;}}
.cb-tile .cb-note {{color: {MUTED}; font-size: .76rem;}}
.cb-card {{border: 1px solid {LINE}; border-top: 4px solid var(--cb-venue); border-radius: .6rem;
  padding: .8rem 1rem; background: {PAPER}; height: 100%;}}
.cb-card .cb-venue {{color: var(--cb-venue); font-weight: 700; font-size: .8rem; letter-spacing: .04em;}}
.cb-card .cb-title {{font-weight: 640; font-size: 1.05rem; margin: .15rem 0 .35rem;}}
.cb-card .cb-rules {{line-height: 1.55; font-size: .92rem; white-space: pre-wrap; overflow-wrap: anywhere;}}
.cb-card .cb-meta {{color: {MUTED}; font-size: .8rem; margin-bottom: .5rem; overflow-wrap: anywhere;}}
.cb-card mark {{background: #FFE7A3; color: inherit; border-radius: .2rem; padding: 0 .12rem;}}
.cb-table {{width: 100%; border-collapse: collapse; font-size: .87rem;}}
.cb-table th {{text-align: left; color: {MUTED}; font-weight: 600; font-size: .77rem; padding: .35rem .6rem;
  border-bottom: 1px solid {LINE}; white-space: nowrap;}}
.cb-table td {{padding: .42rem .6rem; border-bottom: 1px solid #EFF2F7; vertical-align: top;
  overflow-wrap: break-word;}}
.cb-table td.cb-fix {{white-space: nowrap;}}
.cb-table td.cb-num, .cb-table th.cb-num {{text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;}}
.cb-wrap {{overflow-x: auto; border: 1px solid {LINE}; border-radius: .6rem; background: {PAPER};}}
.cb-long {{max-height: 30rem; overflow-y: auto;}}
.cb-long th {{position: sticky; top: 0; background: {PAPER}; z-index: 1;}}
.st-key-switch-kill button, .st-key-switch-kill button:hover {{background: {BAD}; border-color: {BAD};}}
.cb-alert {{display: flex; flex-direction: column; gap: .25rem; font-size: .9rem; overflow-wrap: anywhere;}}
.cb-alert .cb-meta {{color: {MUTED}; font-size: .8rem;}}
.cb-person {{font-size: .86rem; color: {INK}; display: flex; flex-direction: column; gap: .5rem; align-items: start;}}
.cb-person button {{border: 1px solid {LINE}; border-radius: .5rem; background: {PAPER}; color: {INK}; font: inherit;
  padding: .25rem .8rem; cursor: pointer;}}
.cb-person button:hover {{border-color: {ACCENT}; color: {ACCENT};}}
.cb-empty {{border: 1px dashed #C9D1E0; border-radius: .6rem; padding: 1.1rem 1.2rem; color: {MUTED};
  background: #FAFBFD;}}
.cb-empty b {{color: {INK};}}
.cb-line {{border-left: 2px solid {LINE}; margin-left: .45rem; padding-left: 1rem; font-size: .88rem;}}
.cb-line div {{position: relative; padding: .22rem 0;}}
.cb-line div::before {{content: ''; position: absolute; left: -1.36rem; top: .62rem; width: .6rem; height: .6rem;
  border-radius: 50%; background: {ACCENT};}}
.cb-line .cb-at {{color: {MUTED}; font-variant-numeric: tabular-nums; margin-right: .6rem;}}
.cb-bar {{height: .5rem; border-radius: .3rem; background: #EAEEF5; overflow: hidden; margin-top: .35rem;}}
.cb-bar span {{display: block; height: 100%; border-radius: .3rem;}}
</style>
"""


def text(value: object) -> str:
    """Return any text safe to put into HTML, with nothing in it that acts; None becomes a dash."""
    return "–" if value is None or value == "" else escape(several_lines(value))


def title(value: str) -> str:
    """Return a market's title as its venue shows it, in one line; Kalshi sets some words between double asterisks."""
    return one_line(value.replace("**", ""))


def cell(value: str | None) -> str:
    """Return outside text for a cell of a table that people save as CSV: in one line, and no formula there."""
    return in_cell(title(value or ""))


def plain(value: str) -> str:
    """Return outside text for places where Streamlit reads Markdown (labels, captions): every sign literal."""
    return in_markdown(value)


def money(value: Decimal | None, *, signed: bool = False, digits: int = 2) -> str:
    """Return dollars; a dash for none."""
    if value is None:
        return "–"
    sign = "-" if value < 0 else "+" if signed and value > 0 else ""
    return f"{sign}${abs(value):,.{digits}f}"


def cents(value: Decimal | None) -> str:
    """Return a price or edge of a contract in cents; a dash for none."""
    return "–" if value is None else f"{value * 100:.2f}".rstrip("0").rstrip(".") + "¢"


def number(value: Decimal | int | None) -> str:
    """Return a count or size with thousands separated, without needless zeros."""
    if value is None:
        return "–"
    shown = f"{value:,.2f}" if isinstance(value, Decimal) else f"{value:,}"
    return shown.removesuffix(".00")


def age(seconds: Decimal | float | None) -> str:
    """Return an age in the largest fitting unit; 'never' for none."""
    if seconds is None:
        return "never"
    value = max(0.0, float(seconds))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if value >= size:
            return f"{value / size:.1f} {unit}" if value < 10 * size else f"{value / size:.0f} {unit}"
    return f"{value:.0f} s" if value >= 1 or value == 0 else "<1 s"


def since(moment: datetime | None) -> str:
    """Return how long ago a moment was."""
    return "never" if moment is None else age((datetime.now(UTC) - moment).total_seconds()) + " ago"


def clock(moment: datetime | None, *, millis: bool = False) -> str:
    """Return a UTC time of day, with the date when it is not today."""
    if moment is None:
        return "–"
    moment = moment.astimezone(UTC)
    shown = f"{moment:%H:%M:%S}" + (f".{moment.microsecond // 1000:03d}" if millis else "")
    return shown if moment.date() == datetime.now(UTC).date() else f"{moment:%d %b} {shown}"


def chip(word: object, tone: str | None = None) -> str:
    """Return a coloured word as HTML."""
    shown = text(word)
    background, colour = _TONES[tone or _STATE_TONES.get(str(word).lower(), "mute")]
    return f'<span class="cb-chip" style="background:{background};color:{colour}">{shown}</span>'


def polled_chip(is_polled: bool | None) -> str:
    """Return the mark of a book that is asked for over REST as HTML, with a space before it; nothing for others."""
    return f" {chip('polled', 'warn')}" if is_polled else ""


def venue_chip(venue: str) -> str:
    """Return the name of a venue in its colour as HTML."""
    colour = VENUE_COLOURS.get(venue, MUTED)
    return f'<span style="color:{colour};font-weight:650">{text(VENUE_NAMES.get(venue, venue))}</span>'


def pnl(value: Decimal | None) -> str:
    """Return a signed amount as HTML, green above and red below zero."""
    colour = MUTED if not value else GOOD if value > 0 else BAD
    return f'<span style="color:{colour};font-weight:600">{money(value, signed=True)}</span>'


def tiles(entries: list[tuple[str, str, str]]) -> str:
    """Return key figures as HTML. Entries are (label, value as HTML, note as HTML)."""
    cells = "".join(
        f'<div class="cb-tile"><div class="cb-label">{text(label)}</div><div class="cb-value">{value}</div>'
        f'<div class="cb-note">{note}</div></div>'
        for label, value, note in entries
    )
    return f'<div class="cb-tiles">{cells}</div>'


def table(
    columns: list[str], rows: list[list[str]], *, numeric: frozenset[str] = frozenset(), is_long: bool = False
) -> str:
    """Return a table as HTML. `columns` are plain words, the cells are HTML already; a long one scrolls in itself."""
    classes = [_cell_class(column, numeric) for column in columns]
    head = "".join(f"<th{css}>{text(column)}</th>" for column, css in zip(columns, classes, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{css}>{cell}</td>" for cell, css in zip(row, classes, strict=True)) + "</tr>"
        for row in rows
    )
    rows_html = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    frame = "cb-wrap cb-long" if is_long else "cb-wrap"
    return f'<div class="{frame}"><table class="cb-table">{rows_html}</table></div>'


def _cell_class(column: str, numeric: frozenset[str]) -> str:
    return ' class="cb-num"' if column in numeric else ' class="cb-fix"' if column in _ONE_LINE else ""


def empty(what: str, remedy: str) -> str:
    """Return an empty state as HTML: what is missing, and what to do."""
    return f'<div class="cb-empty"><b>{text(what)}</b><br>{text(remedy)}</div>'


def usage_bar(share: float) -> str:
    """Return a bar from 0 to 1 as HTML; its colour warns from 70 % on."""
    shown = min(max(share, 0.0), 1.0)
    colour = GOOD if shown < 0.7 else WARN if shown < 0.95 else BAD
    return f'<div class="cb-bar"><span style="width:{shown * 100:.1f}%;background:{colour}"></span></div>'
