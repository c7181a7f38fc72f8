"""Histograms as SVG text, for the documentation: no plotting package, the same bytes for the same values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 640, 300, 50, 48, 44
_INK, _BAR, _TARGET = "#333", "#7aa6c2", "#c0392b"


@dataclass(frozen=True, slots=True)
class Marker:
    """A vertical line with a label: a measured figure, or a target (dashed)."""

    value: float
    label: str
    is_target: bool = False


def histogram(
    title: str, axis: str, values: Sequence[float], ticks: Sequence[float], markers: Sequence[Marker], bins: int = 36
) -> str:
    """Return an SVG histogram, logarithmic from the first to the last tick; values beyond count at its ends."""
    low, high = math.log(ticks[0]), math.log(ticks[-1])
    counts = [0] * bins
    for value in values:
        place = (math.log(max(value, ticks[0])) - low) / (high - low)
        counts[min(int(place * bins), bins - 1)] += 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="15" fill="{_INK}">{escape(title)}</text>',
        *_bars(counts, len(values)),
        *_ticks(ticks, low, high),
        *(_marker(marker, number, low, high) for number, marker in enumerate(markers)),
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}" fill="{_INK}">{escape(axis)}; {len(values):,} observations</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(value: float, low: float, high: float) -> float:
    share = (math.log(max(value, math.exp(low))) - low) / (high - low)
    return _LEFT + min(share, 1.0) * (_WIDTH - _LEFT - 20)


def _bars(counts: list[int], total: int) -> list[str]:
    top = max(max(counts), 1)
    width = (_WIDTH - _LEFT - 20) / len(counts)
    room = _HEIGHT - _BOTTOM - _TOP
    bars = [
        f'<rect x="{_LEFT + number * width:.1f}" y="{_HEIGHT - _BOTTOM - room * count / top:.1f}" '
        f'width="{width - 1:.1f}" height="{room * count / top:.1f}" fill="{_BAR}"/>'
        for number, count in enumerate(counts)
    ]
    share = 100 * top / max(total, 1)
    return [*bars, f'<text x="6" y="{_TOP + 4}" fill="{_INK}">{share:.0f} %</text>']


def _ticks(ticks: Sequence[float], low: float, high: float) -> list[str]:
    base = _HEIGHT - _BOTTOM
    lines = [f'<line x1="{_LEFT}" y1="{base}" x2="{_WIDTH - 20}" y2="{base}" stroke="{_INK}"/>']
    for tick in ticks:
        x = _x(tick, low, high)
        lines.append(f'<line x1="{x:.1f}" y1="{base}" x2="{x:.1f}" y2="{base + 4}" stroke="{_INK}"/>')
        lines.append(f'<text x="{x:.1f}" y="{base + 17}" text-anchor="middle" fill="{_INK}">{tick:g}</text>')
    return lines


def _marker(marker: Marker, number: int, low: float, high: float) -> str:
    x, colour = _x(marker.value, low, high), _TARGET if marker.is_target else _INK
    dash = ' stroke-dasharray="5 3"' if marker.is_target else ""
    return (
        f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}" stroke="{colour}"{dash}/>'
        f'<text x="{x + 4:.1f}" y="{_TOP + 12 + 14 * number}" fill="{colour}">{escape(marker.label)}</text>'
    )
