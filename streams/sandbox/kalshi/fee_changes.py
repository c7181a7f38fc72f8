"""Fees that change by appointment: of a whole series, or of one event in place of its series'."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, get_args

from streams.market.fees import KalshiFeeSchedule, KalshiFeeType
from streams.sandbox.core.records import ListedMarket, fee_schedule_of
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.kalshi.formats import number, second_of

_NEVER = 2**62
_STATE = "fee_changes"


class FeeChanges:
    """Stores the announced changes in the exchange's face state, and keeps markets' schedules up to date with them."""

    def __init__(self, exchange: Exchange, publish: Callable[[dict[str, Any]], None]) -> None:
        """`publish` gets each event's override when it takes effect: a message's JSON values."""
        self._exchange = exchange
        self._publish = publish
        self._applied: set[str] = set()
        self._next_ms = self._seen = 0

    @property
    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._exchange.state.saved.setdefault(_STATE, [])
        return rows

    def schedule(
        self, ticker: str, at_ms: int, fee_type: str | None, multiplier_e6: int | None, *, is_event: bool = False
    ) -> str:
        """Announce a change; of several for one moment the last one counts.

        Args:
            ticker: Of a series, or of an event.
            at_ms: When it takes effect.
            fee_type: The curve; for an event None falls back to the series'. Words outside the known ones are
                announced and change nothing, as has been seen.
            multiplier_e6: M in 1/1,000,000; for an event None falls back to the series'.
            is_event: What the ticker names.

        Returns:
            The change's id.
        """
        name = f"{ticker}:{at_ms}:{len(self._rows)}"
        row = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "ticker": ticker,
            "is_event": is_event,
            "fee_type": fee_type,
            "multiplier_e6": multiplier_e6,
            "at_ms": at_ms,
        }
        self._rows.append(row)
        self._exchange.state.changes.saved = True
        self._next_ms = min(self._next_ms, at_ms)
        return str(row["id"])

    def apply_due(self, now_ms: int) -> None:
        """Put what is due into effect; cheap while nothing is.

        Called as time passes and before every request. Orders that a dearer fee leaves without cover end.
        """
        if now_ms < self._next_ms and len(self._exchange.state.saved.get(_STATE, ())) == self._seen:
            return
        self._seen = len(self._rows)
        changed: set[str] = set()
        due = [row for row in self._rows if row["at_ms"] <= now_ms and row["id"] not in self._applied]
        for row in sorted(due, key=lambda row: int(row["at_ms"])):
            self._applied.add(row["id"])
            is_news = not row.get("is_applied", False)
            for listed in self._exchange.state.markets.values():
                market = listed.market
                if row["ticker"] == (market.event_id if row["is_event"] else market.series_id):
                    self.refresh(listed, now_ms)
                    changed |= {listed.market_id} if is_news else set()
            if is_news:
                row["is_applied"] = self._exchange.state.changes.saved = True
            if is_news and row["is_event"]:
                self._publish({"event_ticker": row["ticker"], **_override(row)})
        if changed:
            self._exchange.transfers.end_uncovered(changed, now_ms)
        self._next_ms = min((row["at_ms"] for row in self._rows if row["at_ms"] > now_ms), default=_NEVER)

    def refresh(self, listed: ListedMarket, now_ms: int) -> None:
        """Give a market the schedule that is in force."""
        series = self._last(listed.market.series_id, False, now_ms)
        listed.schedule = self._schedule(listed, (series, self.override(listed.market.event_id, now_ms)))

    def in_force(self, series_ticker: str, now_ms: int) -> KalshiFeeSchedule:
        """The series' own schedule (without its events' overrides)."""
        listed = next(one for one in self._exchange.state.markets.values() if one.market.series_id == series_ticker)
        return self._schedule(listed, (self._last(series_ticker, False, now_ms),))

    def override(self, event_ticker: str, now_ms: int) -> dict[str, Any] | None:
        """The event's override in force, None when there never was one."""
        return self._last(event_ticker, True, now_ms)

    def override_fields(self, event_ticker: str, now_ms: int) -> dict[str, Any]:
        """An event object's fields about fees; none while its series' fees apply."""
        row = self.override(event_ticker, now_ms)
        return {name: value for name, value in _override(row).items() if value is not None} if row else {}

    def series_rows(self, series_ticker: str, now_ms: int, *, with_past: bool) -> list[dict[str, Any]]:
        """Announced changes of series, soonest first; of all series for an empty ticker."""
        rows = [
            row
            for row in self._rows
            if not row["is_event"]
            and (not series_ticker or row["ticker"] == series_ticker)
            and (with_past or row["at_ms"] > now_ms)
        ]
        return [
            {
                "id": row["id"],
                "series_ticker": row["ticker"],
                "fee_type": row["fee_type"],
                "fee_multiplier": number(row["multiplier_e6"] or 0),
                "scheduled_ts": second_of(row["at_ms"]),
            }
            for row in sorted(rows, key=lambda row: int(row["at_ms"]))
        ]

    def event_rows(self, event_ticker: str, series_of: Callable[[str], str]) -> list[dict[str, Any]]:
        """Announced and past overrides of events, newest first."""
        rows = [row for row in self._rows if row["is_event"] and (not event_ticker or row["ticker"] == event_ticker)]
        return [
            {
                "id": row["id"],
                "event_ticker": row["ticker"],
                "series_ticker": series_of(row["ticker"]),
                **_override(row),
                "scheduled_ts": second_of(row["at_ms"]),
            }
            for row in sorted(rows, key=lambda row: -int(row["at_ms"]))
        ]

    @staticmethod
    def _schedule(listed: ListedMarket, rows: Sequence[dict[str, Any] | None]) -> KalshiFeeSchedule:
        schedule = fee_schedule_of(listed.market)
        assert isinstance(schedule, KalshiFeeSchedule)
        for row in rows:
            if row is not None and row["fee_type"] in get_args(KalshiFeeType):
                schedule = replace(schedule, fee_type=row["fee_type"])
            if row is not None and row["multiplier_e6"] is not None:
                schedule = replace(schedule, multiplier_e6=row["multiplier_e6"])
        return schedule

    def _last(self, ticker: str, is_event: bool, now_ms: int) -> dict[str, Any] | None:
        rows = [
            row
            for row in self._rows
            if row["ticker"] == ticker and row["is_event"] is is_event and row["at_ms"] <= now_ms
        ]
        return max(reversed(rows), key=lambda row: int(row["at_ms"]), default=None)


def _override(row: dict[str, Any]) -> dict[str, Any]:
    multiplier = row["multiplier_e6"]
    return {
        "fee_type_override": row["fee_type"],
        "fee_multiplier_override": None if multiplier is None else number(multiplier),
    }
