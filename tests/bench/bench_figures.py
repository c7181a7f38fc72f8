"""Every list and total that a page, the API or a command reads, over 100,000 executions, signals and markets.

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}: of each read its slowest query, as EXPLAIN
ANALYZE has it (planning and execution, the best of five), in milliseconds. There is no baseline: none is to take 25.
`python -m tests.bench.bench_figures --plans` prints the plans of those that do.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from app.queries import health, markets, opportunities, pairs, portfolio, risk, status, trades
from app.queries.quality import execution
from orchestration.dbt.project import make_views
from streams.settings import load_settings
from streams.storage.database import Connection, connect
from streams.storage.schema import migrate
from streams.storage.server.embedded import EmbeddedServer
from streams.storage.store.ledger import compact_totals
from tests.support.ledger_rows import BULK_POSTINGS
from tests.support.ports import free_port

ROWS = 100_000
OPEN = 200
REPEATS = 5
LIMIT_MS = 25

SEED = """
INSERT INTO raw.events (venue, event_id, title, category, payload, first_seen_at, last_seen_at)
SELECT v, 'E' || e, 'Event ' || e, 'Category ' || e %% 12, '{}', now(), now()
FROM unnest(ARRAY['kalshi', 'polymarket']) AS v, generate_series(0, 4999) AS e;

INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title, category, rules, outcomes,
    status, terms, payload, seen_at)
SELECT v, 'M' || lpad(m::text, 6, '0'), 'h', 't', 'E' || m %% 5000, 'Will it happen, number ' || m || '?',
    'Category ' || m %% 12, repeat('The rules of a market are a long text. ', 20), '[]', 'open', '{}', '{}', now()
FROM unnest(ARRAY['kalshi', 'polymarket']) AS v, generate_series(0, %(rows)s / 2 - 1) AS m;

INSERT INTO raw.market_state (venue, market_id, version_id, status, result, settlement_e4, volatile, first_seen_at,
    last_seen_at)
SELECT venue, market_id, version_id, CASE WHEN version_id %% 3 = 0 THEN 'settled' ELSE 'open' END,
    CASE WHEN version_id %% 3 = 0 THEN 'yes' END, CASE WHEN version_id %% 3 = 0 THEN 10000 END,
    jsonb_build_object('volume', version_id), now(), now()
FROM raw.market_versions;

INSERT INTO raw.discovery_sweeps (venue, kind, started_at, ended_at) VALUES ('kalshi', 'full', now(), now());
INSERT INTO raw.coverage (shard, venue, market_id, state, started_at, run_id)
SELECT 0, v, 'M' || lpad((m * 97)::text, 6, '0'), 'covered', now(), 'r'
FROM unnest(ARRAY['kalshi', 'polymarket']) AS v, generate_series(0, 249) AS m;
INSERT INTO raw.coverage (shard, venue, market_id, state, cause, started_at, ended_at, run_id)
SELECT 0, 'kalshi', 'M' || lpad((m %% 250 * 97)::text, 6, '0'), CASE m %% 2 WHEN 0 THEN 'gap' ELSE 'covered' END,
    'disconnect', now() - interval '1 hour', now(), 'r' FROM generate_series(0, 9999) AS m;
SELECT raw.make_day('quotes', (now() AT TIME ZONE 'UTC')::date - 1);
INSERT INTO raw.quotes (received_at, venue, market_id, bid_e4, bid_size_e6, ask_e4, ask_size_e6, state)
SELECT now() - make_interval(secs => q), v, 'M' || lpad((m * 97)::text, 6, '0'), 4000 + q, 1000000, 4200 + q, 1000000,
    'live' FROM unnest(ARRAY['kalshi', 'polymarket']) AS v, generate_series(0, 249) AS m, generate_series(1, 200) AS q;
INSERT INTO raw.book_snapshots (received_at, venue, market_id, reason, bids, asks)
SELECT now() - make_interval(secs => q * 30), v, 'M' || lpad((m * 97)::text, 6, '0'), 'periodic', '[[4000, 1000000]]',
    '[[4200, 1000000]]'
FROM unnest(ARRAY['kalshi', 'polymarket']) AS v, generate_series(0, 249) AS m, generate_series(1, 10) AS q;

INSERT INTO trading.pairs (pair_id, kalshi_market_id, polymarket_market_id, relation, polarity, kalshi_text_hash,
    polymarket_text_hash, environment, created_at, updated_at)
SELECT lpad(to_hex(p), 16, '0'), 'M' || lpad(p::text, 6, '0'), 'M' || lpad(p::text, 6, '0'), 'equivalent', 'aligned',
    't', 't', 'sandbox', now(), now() FROM generate_series(0, 2999) AS p;
INSERT INTO trading.group_decisions (group_id, kind, decision, decided_by, market_hashes, terms, environment,
    decided_at)
SELECT group_id, 'pair', 'approve', 'sandbox', market_hashes, terms, 'sandbox', now() FROM trading.group_states
WHERE kind = 'pair';
INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment, updated_at)
SELECT 'g' || g, CASE g %% 10 WHEN 0 THEN 'ladder' ELSE 'pair' END, 'Group ' || g, '[]', '[]', true, 'sandbox', now()
FROM generate_series(0, 2999) AS g;

INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at, closed_at, open_edge_usd,
    peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6, updated_at)
SELECT 'g' || s %% 3000, 'legs ' || s, 0, 'sandbox', true, now() - make_interval(mins => %(rows)s - s),
    CASE WHEN s < %(rows)s - 20 THEN now() - make_interval(mins => %(rows)s - s - 1) END, 0.01, 0.02, 0.001, 10000000,
    9500000, 250000, 250000, now()
FROM generate_series(1, %(rows)s) AS s;
INSERT INTO trading.signal_legs
SELECT s, l, CASE l WHEN 0 THEN 'kalshi' ELSE 'polymarket' END, 'M' || lpad((s %% 250 * 97)::text, 6, '0'),
    CASE l WHEN 0 THEN 'yes' ELSE 'no' END, 5000, 10000000
FROM generate_series(1, %(rows)s) AS s, generate_series(0, 1) AS l;
INSERT INTO trading.refusals (signal_id, refused_at, reason, detail, environment)
SELECT s, now() - make_interval(mins => %(rows)s - s),
    CASE WHEN s %% 5000 = 0 THEN 'seldom' ELSE 'reason ' || s %% 9 END, 'in words', 'sandbox'
FROM generate_series(1, %(rows)s) AS s;

INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd, contracts_e6,
    started_at, flat_at, settled_at, expected_pnl_e6, realised_pnl_e6, detail, updated_at)
SELECT s, 1, 'g' || s %% 3000, 'sandbox', 'live',
    CASE WHEN s > %(rows)s - %(open)s THEN 'HEDGED' WHEN s %% 7 = 0 THEN 'FLAT' ELSE 'SETTLED' END, 1, 0.0164, 10000000,
    now() - make_interval(mins => %(rows)s - s), now(),
    CASE WHEN s <= %(rows)s - %(open)s THEN now() - make_interval(mins => %(rows)s - s) END, 250000,
    CASE WHEN s <= %(rows)s - %(open)s THEN s %% 500000 - 200000 END,
    jsonb_build_object('planned_profit_e6', 300000, 'exposure_e6_s', 400000, 'peak_exposure_e6', 5000000, 'plan',
        jsonb_build_object('size_e6', 10000000, 'legs', jsonb_build_array(
            jsonb_build_object('leg_no', 0, 'cost_e6', 4700000, 'pays_e4', '[10000, 0]'::jsonb),
            jsonb_build_object('leg_no', 1, 'cost_e6', 4700000, 'pays_e4', '[0, 10000]'::jsonb)))), now()
FROM generate_series(1, %(rows)s) AS s;
INSERT INTO trading.intents (execution_id, leg_no, purpose, venue, market_id, outcome, action, limit_price_e4, size_e6,
    reserved_e6, epoch, environment, decided_at, expires_at, created_at)
SELECT s.signal_id, s.leg_no, 'open', s.venue, s.market_id, s.outcome, 'buy', 5000, 10000000, 5000000, 1, 'sandbox',
    now() - make_interval(mins => %(rows)s - s.signal_id::int), now(), now()
    FROM trading.signal_legs AS s ORDER BY 1, 2;
INSERT INTO trading.orders (intent_id, venue, client_order_id, state, request, filled_e6, cash_e6, fee_e6, environment,
    sent_at, answered_at, closed_at, is_answered_final, answered_e6, answered_cash_e6, answered_fee_e6, seen_e6,
    prepared_at)
SELECT intent_id, venue, 'c' || intent_id, 'filled', '{}', 10000000, 4800000, 120000, 'sandbox',
    decided_at + interval '5 milliseconds', decided_at + interval '40 milliseconds', decided_at + interval '1 second',
    intent_id %% 50 <> 0, 10000000, 4800000, 110000, 10000000, now()
FROM trading.intents ORDER BY intent_id;
INSERT INTO trading.fills (order_id, venue, venue_fill_id, market_id, outcome, action, contracts_e6, cash_e6, fee_e6,
    state, filled_at, payload, environment, recorded_at)
SELECT o.order_id, o.venue, 'f' || o.order_id, i.market_id, i.outcome, 'buy', 10000000, 4800000, 120000, 'confirmed',
    o.answered_at, '{"match_time": "1700000000", "last_update": "1700000004"}', 'sandbox', now()
FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id) ORDER BY 1;
INSERT INTO trading.ledger (entry_key, kind, venue, market_id, outcome, execution_id, order_id, cash_e6, contracts_e6,
    mode, environment, happened_at, recorded_at)
SELECT k.kind || ':' || f.fill_id, k.kind, f.venue, f.market_id, f.outcome, i.execution_id, f.order_id, k.cash_e6,
    k.contracts_e6, 'live', 'sandbox', now() - make_interval(mins => %(rows)s - i.execution_id::int), now()
FROM trading.fills AS f JOIN trading.orders AS o USING (order_id) JOIN trading.intents AS i USING (intent_id)
CROSS JOIN LATERAL (VALUES (1, 'fill', -4800000, 10000000), (2, 'fee', -120000, 0),
    (3, 'settlement', 5000000, -10000000)) AS k (place, kind, cash_e6, contracts_e6)
WHERE k.kind <> 'settlement' OR i.execution_id <= %(rows)s - %(open)s
ORDER BY i.execution_id, f.fill_id, k.place;
INSERT INTO raw.quotes (received_at, venue, market_id, bid_e4, bid_size_e6, ask_e4, ask_size_e6, state)
SELECT f.filled_at + make_interval(secs => q), f.venue, f.market_id, 4700 + q::int, 1000000, 4900 + q::int, 1000000,
    'live'
FROM trading.fills AS f, unnest(ARRAY[-8, -3, -1, 0.05, 0.2, 0.7, 2, 4, 12, 25]) AS q
WHERE f.filled_at BETWEEN now() - interval '1 day' AND now() - interval '1 minute';
%(postings)sINSERT INTO trading.balances (venue, cash_e6, ledger_cash_e6, environment, read_at)
SELECT v, 1, 1, 'sandbox', now() FROM unnest(ARRAY['kalshi', 'polymarket']) AS v, generate_series(1, 5000);
"""


class Explained:
    """A connection that asks the server for the time of each query before it runs it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.slowest_ms = 0.0
        self.slowest_query = ""

    def execute(self, query: Any, params: Any = None) -> Any:
        """Run a query; keep the best time of several if it is the slowest so far."""
        self.explain(query, params)
        return self._connection.execute(query, params)

    def explain(self, query: Any, params: Any) -> None:
        """Time a query; keep the best of several if it is the slowest so far."""
        text = query.as_string(self._connection) if hasattr(query, "as_string") else str(query)
        best = min(self._time(text, params) for _ in range(REPEATS))
        if best > self.slowest_ms:
            self.slowest_ms, self.slowest_query = best, text
            self._params = params

    @contextmanager
    def cursor(self, **options: Any) -> Iterator[ExplainedCursor]:
        """Open a cursor whose queries are timed like those of `execute`."""
        with self._connection.cursor(**options) as opened:
            yield ExplainedCursor(self, opened)

    def plan(self) -> str:
        """Return the plan of the slowest query."""
        rows = self._connection.execute(f"EXPLAIN (ANALYZE, BUFFERS) {self.slowest_query}".encode(), self._params)
        return "\n".join(row["QUERY PLAN"] for row in rows)

    def _time(self, text: str, params: Any) -> float:
        row = self._connection.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {text}".encode(), params).fetchone()
        assert row is not None
        (plan,) = row["QUERY PLAN"]
        return float(plan["Planning Time"]) + float(plan["Execution Time"])


class ExplainedCursor:
    """A cursor that has its queries timed before it runs them."""

    def __init__(self, explained: Explained, cursor: Any) -> None:
        self._explained = explained
        self._cursor = cursor

    def execute(self, query: Any, params: Any = None) -> Any:
        """Time a query, then run it."""
        self._explained.explain(query, params)
        return self._cursor.execute(query, params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def reads(connection: Connection) -> dict[str, Callable[[Any], Any]]:
    """Return every list and total by what it shows; pages in the middle are asked for by a cursor."""
    middle = trades.load_trades(connection, limit=ROWS // 2).next_cursor
    market = markets.load_markets(connection, markets.MarketFilter(venue="polymarket"), limit=1).next_cursor
    named: dict[str, Callable[[Any], Any]] = {
        "trades, newest 100": trades.load_trades,
        "trades, 300 from the middle": partial(trades.load_trades, limit=300, cursor=middle),
        "trades, 300 of a state": partial(trades.load_trades, trades.TradeFilter(state="SETTLED"), limit=300),
        "trades, open ones": partial(trades.load_trades, trades.TradeFilter(state="HEDGED"), limit=100),
        "trades, none of a state": partial(trades.load_trades, trades.TradeFilter(state="ESCALATED")),
        "trades of a group": partial(trades.load_trades, trades.TradeFilter(group_id="g7")),
        "trades by state, counted": trades.count_trade_states,
        "one trade": partial(trades.load_trade, execution_id=777),
        "opportunities, newest 60": partial(opportunities.load_opportunities, limit=60),
        "opportunities, traded": partial(
            opportunities.load_opportunities, opportunities.OpportunityFilter(outcome="traded"), limit=60
        ),
        "opportunities, refused": partial(
            opportunities.load_opportunities, opportunities.OpportunityFilter(outcome="refused"), limit=60
        ),
        "opportunities, open": partial(
            opportunities.load_opportunities, opportunities.OpportunityFilter(outcome="open"), limit=60
        ),
        "opportunities, passed": partial(
            opportunities.load_opportunities, opportunities.OpportunityFilter(outcome="passed"), limit=60
        ),
        "opportunities, refused for a frequent reason": partial(
            opportunities.load_opportunities, opportunities.OpportunityFilter(reason="reason 3"), limit=60
        ),
        "opportunities, refused for a rare reason": partial(
            opportunities.load_opportunities, opportunities.OpportunityFilter(reason="seldom"), limit=60
        ),
        "opportunities of a kind": partial(
            opportunities.load_opportunities, opportunities.OpportunityFilter(kind="ladder"), limit=60
        ),
        "refusals by reason": opportunities.load_refusal_counts,
        "markets, first 100": markets.load_markets,
        "markets, from the middle": partial(markets.load_markets, cursor=market),
        "markets, settled": partial(markets.load_markets, markets.MarketFilter(status="settled")),
        "markets of a category": partial(markets.load_markets, markets.MarketFilter(category="Category 7")),
        "markets, recorded": partial(markets.load_markets, markets.MarketFilter(recorded_only=True)),
        "markets, found by a word": partial(markets.load_markets, markets.MarketFilter(search="number 777")),
        "markets found by a word they all have": partial(markets.load_markets, markets.MarketFilter(search="happen")),
        "markets of a category and a status found by a word they all have": partial(
            markets.load_markets, markets.MarketFilter(search="happen", category="Category 7", status="open")
        ),
        "markets found by one digit": partial(markets.load_markets, markets.MarketFilter(search="7")),
        "markets found by words none has": partial(markets.load_markets, markets.MarketFilter(search="happen nothing")),
        "markets found by a sign they all have": partial(markets.load_markets, markets.MarketFilter(search="?")),
        "markets found by a sign none has": partial(markets.load_markets, markets.MarketFilter(search="%")),
        "categories": markets.load_categories,
        "pairs, 500": partial(pairs.load_pairs, limit=500),
        "pairs by state, counted": pairs.count_pairs,
        "pairs of a market": partial(pairs.load_pairs, market_id="M000042"),
        "positions": portfolio.load_positions,
        "balances": portfolio.load_balances,
        "PnL by day": portfolio.load_pnl_days,
        "PnL, trade by trade": portfolio.load_pnl_curve,
        "PnL, totals": portfolio.load_pnl_summary,
        "exposure": partial(risk.load_exposure, mode="live"),
        "execution of a day (slowest of its queries)": execution.load_execution_report,
        "marts": health.load_marts,
        "views": health.load_views,
        "ages": health.load_ages,
        "gaps": health.load_gaps,
        "status (slowest of its queries)": status.system_status,
    }
    return named


def main() -> None:
    """Seed, measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        server = EmbeddedServer(home=home / "postgres", port=free_port())
        server.start()
        try:
            dsn = server.dsn()
            migrate(dsn, "sandbox")
            make_views(load_settings(home=home, database_url=dsn))
            with connect(dsn) as connection:
                seed = SEED % {"rows": ROWS, "open": OPEN, "postings": BULK_POSTINGS}
                with connection.transaction():  # entries and their postings are compared at the commit
                    for part in seed.split(";\n"):
                        if part.strip():
                            connection.execute(part.encode())
                compact_totals(connection)
                connection.execute("VACUUM ANALYZE")
                print(json.dumps(_measure(connection), indent=1))
        finally:
            server.destroy()


def _measure(connection: Connection) -> list[dict[str, Any]]:
    results = []
    for name, read in reads(connection).items():
        explained = Explained(connection)
        read(explained)
        results.append({"name": f"figures: {name}", "value": round(explained.slowest_ms, 2), "unit": "ms",
                        "baseline": None, "baseline_value": None, "ratio": None})  # fmt: skip
        if "--plans" in sys.argv and explained.slowest_ms > LIMIT_MS:
            print(f"{name}: {explained.slowest_ms:.1f} ms\n{explained.plan()}\n", file=sys.stderr)
    return results


if __name__ == "__main__":
    main()
