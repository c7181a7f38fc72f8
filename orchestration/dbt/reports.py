"""What a build reports of each mart: its number of rows, and a small chart drawn as SVG. Knows nothing of Dagster."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from psycopg import sql

from streams.inert import in_markdown
from streams.storage.database import Connection

_BARS_MAX = 60


@dataclass(frozen=True)
class MartReport:
    """Rows of one mart and its chart: `bars` are (label, rows), oldest or largest first."""

    name: str
    rows: int
    title: str
    bars: list[tuple[str, int]]


def report_mart(connection: Connection, name: str, report_by: str | None) -> MartReport:
    """Count the rows of the table `analytics.<name>`, and by `report_by`: by minute over the last hour of data, by any
    other column the most frequent values first; without one there are no bars.
    """
    table = sql.Identifier("analytics", name)
    counted = connection.execute(sql.SQL("SELECT count(*) AS n FROM {}").format(table)).fetchone()
    rows = int(counted["n"]) if counted else 0
    if report_by is None:
        return MartReport(name, rows, "rows", [])
    if report_by == "minute":
        title = "rows per minute, last hour of data"
        query = sql.SQL(
            "SELECT to_char(minute, 'HH24:MI') AS label, count(*) AS n FROM {t}"
            " WHERE minute > (SELECT max(minute) FROM {t}) - interval '60 minutes' GROUP BY minute ORDER BY minute"
        ).format(t=table)
    else:
        title = f"rows by {report_by}"
        query = sql.SQL(
            "SELECT coalesce({c}::text, 'none') AS label, count(*) AS n FROM {t} GROUP BY 1 ORDER BY 2 DESC"
        ).format(c=sql.Identifier(report_by), t=table)
    bars = [(str(row["label"]), int(row["n"])) for row in connection.execute(query)]
    return MartReport(name, rows, title, bars[:_BARS_MAX])


def chart_markdown(report: MartReport) -> str:
    """Return the chart as markdown with the picture inside, and the figures of the ends as text."""
    if not report.bars:
        return f"*{report.title}*: {report.rows:,}" if report.rows else f"*{report.title}*: no rows yet"
    picture = base64.b64encode(bar_chart(report.bars).encode()).decode()
    ends = ", ".join(
        f"{in_markdown(label)}: {rows:,}" for label, rows in dict([report.bars[0], report.bars[-1]]).items()
    )
    return f"*{report.title}* ({ends})\n\n![{report.title}](data:image/svg+xml;base64,{picture})"


def bar_chart(bars: Sequence[tuple[str, int]], width: int = 600, height: int = 140) -> str:
    """Return an SVG of upright bars, one per (label, value), each with its figures as a tooltip."""
    highest = max(max(value for _, value in bars), 1)
    step = width / len(bars)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">']
    for index, (label, value) in enumerate(bars):
        tall = (height - 20) * value / highest
        parts.append(
            f'<rect x="{index * step + 1:.1f}" y="{height - tall:.1f}" width="{max(step - 2, 1):.1f}"'
            f' height="{tall:.1f}" fill="#4f7cac"><title>{escape(label)}: {value}</title></rect>'
        )
    parts.append(f'<text x="2" y="12" font-size="11" font-family="sans-serif">{highest:,}</text></svg>')
    return "".join(parts)
