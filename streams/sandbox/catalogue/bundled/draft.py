"""The notebook in which the bundled catalogue is drafted: facts, events and markets as lines of the catalogue file.

Dates are written as placeholders relative to the anchor day (see `streams.sandbox.catalogue.load`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

Line = dict[str, Any]

CENT_GRID = [[0, 10_000, 100]]
TAPERED_GRID = [[0, 1_000, 10], [1_000, 9_000, 100], [9_000, 10_000, 10]]
MILLI_GRID = [[0, 10_000, 10]]
FEE_RATES = {
    "Crypto": "0.07",
    "Sports": "0.05",
    "Economics": "0.05",
    "Culture": "0.05",
    "Weather": "0.05",
    "Finance": "0.04",
    "Politics": "0.04",
    "Tech": "0.04",
    "Geopolitics": "0",
}
"""Polymarket's taker rate by category; source: the venue's fee table as of 2026-10-01."""
CREDIBLE = "The resolution source is a consensus of credible reporting."


def day(offset: int, form: str = "%b %-d, %Y") -> str:
    """A date so many days after the anchor, in Kalshi's usual form."""
    return f"{{{{d{offset}:{form}}}}}"


def long_day(offset: int) -> str:
    """A date in Polymarket's usual form: November 30, 2026."""
    return day(offset, "%B %-d, %Y")


def ticker_day(offset: int) -> str:
    """A date as it stands in a Kalshi ticker: 26NOV30."""
    return day(offset, "%y%b%d")


def slug_of(*words: str) -> str:
    """Words as a slug; date placeholders are kept."""
    parts = re.split(r"(\{\{[^}]*\}\})", "-".join(words))
    cleaned = [part if part.startswith("{{") else _plain(part) for part in parts]
    return re.sub(r"-{2,}", "-", "".join(cleaned)).strip("-")


def _plain(text: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower().replace("%", "pct").replace(".", "pt"))


def settles(fact: str, op: str = "is", value: Any = None, void: str = "fair") -> Line:
    """The truth of a market: which outcomes of which fact pay YES."""
    return {"fact": fact, "op": op, **({} if value is None else {"value": value}), "void": void}


def options(**weights: float) -> dict[str, float]:
    """Chances in proportion to the weights, summing to one."""
    return shares(weights)


def shares(weights: dict[str, float]) -> dict[str, float]:
    """Chances in proportion to the weights, summing to one."""
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


class Draft:
    """Collects the lines of the catalogue in order."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._kalshi: dict[str, Line] = {}
        self._polymarket: dict[str, Line] = {}
        self._count = 0

    def fact(self, fact_id: str, kind: str, **figures: Any) -> str:
        """Add a fact and return its id."""
        self.lines.append({"type": "fact", "id": fact_id, "kind": kind, **figures})
        return fact_id

    def kalshi_event(
        self,
        series: str,
        event: str,
        title: str,
        category: str,
        *,
        exclusive: bool = False,
        fee: str = "1",
        **more: Any,
    ) -> str:
        """Add a Kalshi event `SERIES-event` and return its id. `fee` is the series' fee multiplier."""
        event_id = f"{series}-{event}" if event else series
        line = {
            "type": "event",
            "venue": "kalshi",
            "id": event_id,
            "series": series,
            "title": title,
            "category": category,
            "exclusive": exclusive,
            **more,
        }
        self._kalshi[event_id] = {"line": line, "fee": fee}
        self.lines.append(line)
        return event_id

    def kalshi(
        self, event: str, suffix: str, title: str, rules: str, close: int, truth: Line, *, hour: int = 15, **more: Any
    ) -> str:
        """Add a Kalshi market that closes `close` days after the anchor and return its ticker."""
        parent = self._kalshi[event]
        self._count += 1
        ticker = f"{event}-{suffix}" if suffix else event
        self.lines.append(
            {
                "type": "market",
                "venue": "kalshi",
                "id": ticker,
                "event": event,
                "series": parent["line"]["series"],
                "title": title,
                "rules": rules,
                "category": parent["line"]["category"],
                "open": f"{{{{d-{7 + self._count % 50}}}}}T15:00:00Z",
                "close": f"{{{{d{close}}}}}T{hour:02}:00:00Z",
                "fee": {"fee_type": "quadratic", "fee_multiplier": parent["fee"]},
                "ranges": CENT_GRID,
                "lag": 300,
                "volume": 1_000 * (3 + self._count * 37 % 900),
                "truth": truth,
                "extra": {"can_close_early": True},
                **more,
            }
        )
        return ticker

    def poly_event(self, title: str, category: str, *, neg_risk: bool = False, slug: str = "", **more: Any) -> str:
        """Add a Polymarket event and return its id (its slug)."""
        event_id = slug or slug_of(title)
        line = {
            "type": "event",
            "venue": "polymarket",
            "id": event_id,
            "title": title,
            "category": category,
            "exclusive": neg_risk,
            **more,
        }
        self._polymarket[event_id] = line
        self.lines.append(line)
        return event_id

    def poly(
        self,
        event: str,
        title: str,
        rules: str,
        close: int,
        truth: Line,
        *,
        slug: str = "",
        hour: int = 0,
        item: str = "",
        outcomes: Sequence[str] = ("Yes", "No"),
        **more: Any,
    ) -> str:
        """Add a Polymarket market that ends `close` days after the anchor and return its slug."""
        parent = self._polymarket[event]
        self._count += 1
        name = slug or slug_of(title)
        rate = FEE_RATES[parent["category"]]
        extra = {"groupItemTitle": item} if item else {}
        self.lines.append(
            {
                "type": "market",
                "venue": "polymarket",
                "id": name,
                "event": event,
                "title": title,
                "rules": rules,
                "category": parent["category"],
                "open": f"{{{{d-{5 + self._count % 60}}}}}T17:00:00Z",
                "close": f"{{{{d{close}}}}}T{hour:02}:00:00Z",
                "outcomes": list(outcomes),
                "subtitle": item,
                "fee": {"rate": rate, "exponent": "1", "taker_only": True} if rate != "0" else {},
                "ranges": MILLI_GRID if self._count % 3 else CENT_GRID,
                "min_size_e6": 5_000_000,
                "lag": 7_200,
                "neg_risk": parent["exclusive"],
                "volume": 1_000 * (8 + self._count * 53 % 2_000),
                "truth": truth,
                "extra": extra,
                **more,
            }
        )
        return name

    def near(self, kalshi: str, slug: str, why: str) -> None:
        """Note two markets that read alike and settle differently."""
        self.lines.append({"type": "near_miss", "kalshi": kalshi, "slug": slug, "why": why})
