"""What a run says of the hedge it follows: each row of the execution once for each state it is seen in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from streams.market.documents import JsonDocument
from streams.market.units import CASH_SCALE, PRICE_SCALE, SIZE_SCALE
from streams.storage.store.hedges.story import StoryRow


class Follower:
    """Remembers what was said already. PURE: rows come in, sentences come out."""

    def __init__(self) -> None:
        self._said: set[tuple[str, int, str, str]] = set()

    def news(self, rows: Iterable[StoryRow]) -> Iterator[str]:
        """Return a sentence for each row that is new or in a new state, in the order of the rows."""
        for row in rows:
            key = (row.kind, row.number, row.state, str(row.detail.get("filled_e6", "")))
            if key not in self._said:
                self._said.add(key)
                yield sentence_of(row)


def sentence_of(row: StoryRow) -> str:
    """Return what a row says, with its time, sizes in contracts and amounts in dollars."""
    at = f"{row.happened_at:%H:%M:%S.%f}"[:-3]
    if row.kind == "event":
        return f"{at} {row.state}: {row.what}"
    detail = row.detail
    where = f"{detail['action']} {detail['outcome']} of {detail['venue']}:{detail['market_id']}"
    if row.kind == "fill":
        return (
            f"{at} fill of order {detail['order_id']} is {row.state}: {where},"
            f" {_plain(detail, 'contracts_e6', SIZE_SCALE)} for {_plain(detail, 'cash_e6', CASH_SCALE)} USD,"
            f" fee {_plain(detail, 'fee_e6', CASH_SCALE)} USD"
        )
    filled = f", {_plain(detail, 'filled_e6', SIZE_SCALE)} filled" if detail["filled_e6"] else ""
    why = f" ({row.what})" if row.what else ""
    return (
        f"{at} order {row.number} ({detail['purpose']}, leg {detail['leg_no']}) is {row.state}{why}: {where},"
        f" {_plain(detail, 'size_e6', SIZE_SCALE)} at {_plain(detail, 'limit_price_e4', PRICE_SCALE)} or better{filled}"
    )


def _plain(detail: JsonDocument, name: str, scale: int) -> str:
    """Return a scaled integer as a decimal without an exponent and without noughts at its end."""
    text = f"{Decimal(int(detail[name])) / scale:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
