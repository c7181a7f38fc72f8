"""Both exchanges and the flow as the journal keeps them: what must be there before an answer, and the rest at times.

What external accounts cause and the life of markets are written by `commit`. The makers' quotes, what only they traded,
and the flow are written together by `write_snapshot`, of the markets whose books changed since the one before; a kill
between two snapshots takes quotes and flow back to the last one, never one without the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.sandbox.core.book import LevelChanged
from streams.sandbox.core.records import ListedMarket, Listener, Trade
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.exchange.persistence import old_journal
from streams.sandbox.exchange.persistence.journal import (
    FORMAT,
    Journal,
    Recovered,
    Row,
    is_begun,
    refuse_emptied,
    remove,
    understood,
)
from streams.sandbox.exchange.persistence.snapshot import exchange_state, listing_state, take_changes

QUOTES_AT_ONCE = 500
"""Markets whose quotes `gather` encodes in one call, while requests wait."""
_VALUES = ("counts", "fees_e6", "shortfall_e6", "mode", "face")
_Documents = defaultdict[tuple[str, str], list[tuple[str, str, Any]]]
"""By table and venue: [(market id, key, document)]."""


class SavedState:
    """The journal of one sandbox, in a folder: `read` once, then `begin`, then write.

    Raises:
        ConfigurationError: If another sandbox has the folder or the database cannot be used; one sentence.
    """

    def __init__(self, folder: Path, exchanges: Mapping[Venue, Exchange]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._exchanges = exchanges
        self._path = folder / "memory.db"
        self._journal: Journal | None = None
        self._old: old_journal.OldJournal | None = None
        self._watches: dict[Venue, _BookWatch] = {}
        self._meta: dict[str, str | int] = {}
        self._parts_left: int | None = None
        if not old_journal.is_there(folder):
            refuse_emptied(self._path)
            self._journal = Journal(self._path)
        elif is_begun(self._path):
            # Killed after the database was made and before they were moved.
            _put_aside(folder)
            self._journal = Journal(self._path)
        else:
            self._old = old_journal.OldJournal(folder)

    def read(self) -> Recovered | None:
        """Return what is kept; None at a first start, also where the first snapshot was never written.

        Raises:
            ConfigurationError: If it is damaged or of another format; one sentence.
        """
        if self._old is not None:
            with understood(self._path.parent / "snapshot.json"):
                found = self._old.read()
            if found is not None:
                return found
            _put_aside(self._path.parent)
            self._old.close()
            remove(self._path)
            self._journal, self._old = Journal(self._path), None
        meta, rows = self._database.read()
        with understood(self._path):
            return recovered(meta, rows) if meta else None

    def begin(self, source: str, anchor_ms: int, flow: dict[str, Any], now_ms: int) -> None:
        """Write from now on, once the exchanges are as `read` said; `flow` is the state that was read with them.

        A journal of old files becomes a database here.

        Raises:
            OSError: If that cannot be written; the old files stay as they are.
        """
        self._meta = {"format": FORMAT, "source": source, "anchor_ms": anchor_ms}
        for venue, exchange in self._exchanges.items():
            self._watches[venue] = watch = _BookWatch(exchange)
            # A restart leaves quotes out, and accounts that were opened without a deal are not in the changes.
            watch.quoted.update(exchange.state.markets)
            for account in exchange.state.accounts.accounts.values():
                if not account.is_house:
                    exchange.state.changes.accounts.setdefault(account.account_id, set())
            exchange.state.listeners.append(watch)
        if self._old is not None:
            self._convert(self._old, flow, now_ms)

    def commit(self) -> None:
        """Put what changed since the last commit on disk; what does not fit there is tried again the next time.

        Raises:
            OSError: If it cannot be written.
        """
        taken = [(exchange, exchange.state.changes) for exchange in self._exchanges.values() if exchange.state.changes]
        rows: list[Row] = []
        evicted: list[tuple[str, str]] = []
        try:
            for exchange, changes in taken:
                rows += _listing_rows(exchange.state.markets[market_id] for market_id in changes.listings)
                rows += _state_rows(exchange.state.venue, take_changes(exchange) or {})
                evicted += [(str(exchange.state.venue), market_id) for market_id in changes.evicted]
            if taken:
                self._database.commit(rows, evicted)
        except BaseException:
            for exchange, changes in taken:
                exchange.state.changes = changes
            raise

    def gather(self) -> bool:
        """Encode the quotes of some markets for the next snapshot; True when few enough are left to write it."""
        if self._parts_left is None:
            self._parts_left = sum(len(watch.quoted) for watch in self._watches.values()) // QUOTES_AT_ONCE
        if self._parts_left == 0:
            return True
        self._parts_left -= 1
        left = QUOTES_AT_ONCE
        for watch in self._watches.values():
            left -= watch.encode(left)
        return False

    def write_snapshot(self, flow: dict[str, Any], now_ms: int) -> None:
        """Put all changes on disk, and quotes and flow in one transaction.

        Raises:
            OSError: If it cannot be written; it is tried again with the next one.
        """
        for exchange in self._exchanges.values():
            # Counts and a face's empty values are written though nobody caused them.
            exchange.state.changes.saved = exchange.state.changes.mode = True
        self.commit()
        self._parts_left = None
        rows = [_row("value", "", "", "flow", flow)]
        for venue, watch in self._watches.items():
            rows += watch.rows(venue)
        self._database.commit(rows, meta={**self._meta, "written_ms": now_ms})
        for watch in self._watches.values():
            watch.clear()

    def copy(self) -> bytes:
        """Return a copy of the database as of the last commit."""
        return self._database.copy()

    def close(self) -> None:
        """Close the files and give the folder free."""
        for file in (self._journal, self._old):
            if file is not None:
                file.close()

    @property
    def _database(self) -> Journal:
        assert self._journal is not None, "an old journal is made into a database by `begin`"
        return self._journal

    def _convert(self, old: old_journal.OldJournal, flow: dict[str, Any], now_ms: int) -> None:
        """Write everything to a new file, and put that in place at once: a kill before it leaves the old journal."""
        folder, fresh = self._path.parent, self._path.with_suffix(".db.new")
        remove(fresh)
        try:
            self._journal = Journal(fresh)
            rows: list[Row] = []
            for venue, exchange in self._exchanges.items():
                rows += _listing_rows(exchange.state.markets.values())
                rows += _state_rows(venue, exchange_state(exchange))
            self._journal.commit(rows)
            self.write_snapshot(flow, now_ms)
            self._journal.settle()
            self._journal.close()
            remove(self._path)  # an empty one of a start that was cut off, with a log that is not the new one's
            fresh.rename(self._path)
        except Exception:
            if self._journal is not None:
                self._journal.close()
                self._journal = None
            remove(fresh)
            raise
        old_journal.sync_folder(folder)
        old_journal.keep_beside(folder)
        self._journal, self._old = Journal(self._path), None
        old.close()


def _put_aside(folder: Path) -> None:
    """Move the files of an old journal that counts no more.

    Raises:
        ConfigurationError: If they cannot be moved; it is tried again at the next start.
    """
    try:
        old_journal.keep_beside(folder)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}.") from None


class _BookWatch(Listener):
    """Notes which markets' quotes and states are not in the journal as they are, and holds quotes that are encoded."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.quoted: set[str] = set()
        self._traded: set[str] = set()
        self._encoded: dict[str, bytes] = {}

    def on_book(self, listed: ListedMarket, changes: list[LevelChanged], trades: list[Trade], now_ms: int) -> None:
        """A book changed; a trade also changes volume and last price."""
        self.quoted.add(listed.market_id)
        if trades:
            self._traded.add(listed.market_id)

    def on_evicted(self, listed: ListedMarket) -> None:
        """Nothing of a forgotten market is written any more."""
        self.quoted.discard(listed.market_id)
        self._traded.discard(listed.market_id)
        self._encoded.pop(listed.market_id, None)

    def encode(self, most: int) -> int:
        """Encode the quotes of at most so many markets; return of how many."""
        waiting = {(act.account, act.order_key) for act in self._exchange.state.waiting_cancels}
        count = min(most, len(self.quoted))
        for _ in range(count):
            market_id = self.quoted.pop()
            self._encoded[market_id] = orjson.dumps(_quotes(self._exchange.state.markets[market_id], waiting))
        return count

    def rows(self, venue: Venue) -> Iterator[Row]:
        """What the next snapshot writes: all quotes and states that changed."""
        # Quotes whose cancel waits for the venue to open are gone for the flow.
        self.quoted.update(act.market.market_id for act in self._exchange.state.waiting_cancels)
        self.quoted.intersection_update(self._exchange.state.markets)
        self.encode(len(self.quoted))
        for market_id, document in self._encoded.items():
            yield Row("house", str(venue), market_id, "", document)
        for market_id in self._traded:
            yield _row("market", venue, market_id, "", self._exchange.state.markets[market_id].state())

    def clear(self) -> None:
        """Take what `rows` gave for written."""
        self._traded.clear()
        self._encoded.clear()


def recovered(meta: Mapping[str, str | int], rows: list[Row]) -> Recovered:
    """Put the rows of a database together again."""
    found: _Documents = defaultdict(list)
    for table, venue, market_id, key, document in rows:
        found[table, venue].append((market_id, key, orjson.loads(document)))
    return Recovered(
        str(meta["source"]),
        int(meta["anchor_ms"]),
        [listing for venue in Venue for listing in _by_number(found["listing", venue])],
        [(venue, _state(found, venue)) for venue in Venue],
        {
            venue: [
                [account, name, market_id, *rest]
                for market_id, _, quotes in found["house", venue]
                for account, name, *rest in quotes
            ]
            for venue in Venue
        },
        found["value", ""][0][2],
    )


def _state(found: _Documents, venue: Venue) -> dict[str, Any]:
    positions: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for market_id, account_id, position in found["position", venue]:
        positions[account_id][market_id] = position
    return {
        **{name: value for _, name, value in found["value", venue]},
        "markets": [market for _, _, market in found["market", venue]],
        "accounts": [
            {**account, "positions": positions[account_id]} for _, account_id, account in found["account", venue]
        ],
        "tickets": _by_number(found["ticket", venue]),
        "trades": _by_number(found["trade", venue]),
        "payouts": _by_number(found["payout", venue]),
    }


def _by_number(documents: list[tuple[str, str, Any]]) -> list[dict[str, Any]]:
    return sorted((document for _, _, document in documents), key=lambda document: int(document["number"]))


def _quotes(listed: ListedMarket, waiting: set[tuple[str, str]]) -> list[list[Any]]:
    return [
        [order.account, order.client_order_id, order.side, order.price_e4, order.remaining_e6, order.sequence]
        for levels in (listed.book.bids, listed.book.asks)
        for level in levels.values()
        for order in level.orders.values()
        if order.is_house and (order.account, order.client_order_id) not in waiting
    ]


def _listing_rows(listings: Iterable[ListedMarket]) -> Iterator[Row]:
    for listed in listings:
        yield _row("listing", listed.market.venue, listed.market_id, "", listing_state(listed))


def _state_rows(venue: Venue, state: dict[str, Any]) -> Iterator[Row]:
    """The rows of what `take_changes` or `exchange_state` gave."""
    for market in state["markets"]:
        yield _row("market", venue, market["market_id"], "", market)
    for account in state["accounts"]:
        account_id, positions = account["account_id"], account.pop("positions")
        yield _row("account", venue, "", account_id, account)
        for market_id, position in positions.items():
            yield _row("position", venue, market_id, account_id, position)
    for record in state["tickets"]:
        yield _row("ticket", venue, record.request.market_id, record.order_id, record)
    for trade in state["trades"]:
        yield _row("trade", venue, trade.market_id, trade.trade_id, trade)
    for payout in state["payouts"]:
        yield _row("payout", venue, payout.market_id, payout.transaction_id, payout)
    for name in _VALUES:
        if name in state:
            yield _row("value", venue, "", name, state[name])


def _row(table: str, venue: str, market_id: str, key: str, document: Any) -> Row:
    return Row(table, str(venue), market_id, key, orjson.dumps(document))
