"""The matching engine: priority, times in force, self trades, money-bounded buys, and its invariants."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.market.errors import Refused
from streams.market.identity import Side
from streams.sandbox.core.book import LevelChanged, Order, OrderEnded, Traded
from streams.sandbox.core.matching import MatchingEngine

CONTRACT = 1_000_000
CENTS = ((0, 10_000, 100),)


def engine() -> MatchingEngine:
    made = MatchingEngine()
    made.add_market("M", CENTS, 10_000, 10_000)
    return made


def order(name: str, side: Side, price: int, size: int, account: str = "", **more: object) -> Order:
    return Order(name, account or name, "M", side, price, size * CONTRACT, size * CONTRACT, **more)  # type: ignore[arg-type]


def trades(made: MatchingEngine) -> list[tuple[str, int, int]]:
    return [(e.maker.order_id, e.price_e4, e.size_e6 // CONTRACT) for e in made.drain() if isinstance(e, Traded)]


def test_the_better_price_trades_first_and_then_the_older_order() -> None:
    made = engine()
    for name, price in (("late", 5_200), ("old", 5_100), ("young", 5_100)):
        made.submit(order(name, "ask", price, 10))
    made.drain()
    made.submit(order("taker", "bid", 5_200, 25))
    assert trades(made) == [("old", 5_100, 10), ("young", 5_100, 10), ("late", 5_200, 5)]


def test_a_taker_gets_the_resting_price() -> None:
    made = engine()
    made.submit(order("maker", "ask", 5_200, 1))
    made.drain()
    made.submit(order("taker", "bid", 9_900, 1, tif="ioc"))
    assert trades(made) == [("maker", 5_200, 1)]


def test_an_immediate_order_leaves_nothing_behind() -> None:
    made = engine()
    made.submit(order("maker", "ask", 5_200, 3))
    made.submit(order("taker", "bid", 5_200, 5, tif="ioc"))
    ended = [e for e in made.drain() if isinstance(e, OrderEnded) and e.order.order_id == "taker"]
    assert ended[0].reason == "immediate"
    assert ended[0].order.remaining_e6 == 2 * CONTRACT
    assert made.books["M"].best_bid is None


def test_fill_or_kill_changes_nothing_when_it_cannot_be_filled() -> None:
    made = engine()
    made.submit(order("maker", "ask", 5_200, 3))
    made.drain()
    with pytest.raises(Refused) as refused:
        made.submit(order("taker", "bid", 5_200, 5, tif="fok"))
    assert refused.value.code == "fok_unfilled"
    assert made.drain() == []


def test_dollars_buy_more_contracts_at_a_better_price() -> None:
    made = engine()
    made.submit(order("maker", "ask", 9_800, 100))
    made.drain()
    # 4.95 dollars at a limit of 0.99 would be 5 contracts; at 0.98 they are 4.95 / 0.98 = 5.051020
    made.submit(Order("taker", "t", "M", "bid", 9_900, 10**15, 10**15, "ioc", spend_e6=4_950_000))
    filled = [e.size_e6 for e in made.drain() if isinstance(e, Traded)]
    assert filled == [5_051_020]


def test_dollars_spent_on_no_walk_the_bids() -> None:
    made = engine()
    made.submit(order("high", "bid", 6_000, 5))
    made.submit(order("low", "bid", 5_000, 100))
    made.drain()
    # 5 at 0.40 cost 2 dollars, the third dollar buys 2 at 0.50
    made.submit(Order("taker", "t", "M", "ask", 5_000, 10**15, 10**15, "fok", spend_e6=3_000_000))
    assert trades(made) == [("high", 6_000, 5), ("low", 5_000, 2)]


def test_a_self_trade_stops_the_taker_or_cancels_the_maker() -> None:
    made = engine()
    made.submit(order("own", "ask", 5_200, 3, account="me"))
    made.submit(order("other", "ask", 5_200, 3))
    made.drain()
    made.submit(order("stopped", "bid", 5_200, 3, account="me"))
    assert [e.reason for e in made.drain() if isinstance(e, OrderEnded)] == ["self_trade"]
    made.submit(order("through", "bid", 5_200, 3, account="me", self_trade="maker"))
    assert trades(made) == [("other", 5_200, 3)]
    assert "own" not in made.orders


def test_post_only_is_refused_when_it_would_cross() -> None:
    made = engine()
    made.submit(order("maker", "ask", 5_200, 3))
    with pytest.raises(Refused) as refused:
        made.submit(order("post", "bid", 5_200, 1, is_post_only=True))
    assert refused.value.code == "post_only_cross"


@pytest.mark.parametrize(
    ("price", "size", "code"),
    [
        (5_250, 1, "invalid_price"),
        (0, 1, "invalid_price"),
        (10_000, 1, "invalid_price"),
        (5_200, 0, "invalid_size"),
    ],
)
def test_what_is_off_the_grid_is_refused(price: int, size: int, code: str) -> None:
    with pytest.raises(Refused) as refused:
        engine().submit(order("x", "bid", price, size))
    assert refused.value.code == code


def test_orders_expire_at_their_time() -> None:
    made = engine()
    made.submit(order("gtd", "bid", 5_000, 1, tif="gtd", expires_ms=1_000))
    made.drain()
    assert list(made.expire(999)) == []
    assert made.drain() == []
    assert list(made.expire(1_000)) == ["M"]
    assert [e.reason for e in made.drain() if isinstance(e, OrderEnded)] == ["expired"]


def test_closing_and_reactivating_cancel_what_rests() -> None:
    made = engine()
    made.submit(order("a", "bid", 5_000, 1))
    made.close("M")
    with pytest.raises(Refused):
        made.submit(order("b", "bid", 5_000, 1))
    made.reactivate("M")
    made.submit(order("c", "bid", 5_000, 1))
    made.pause("M")
    made.reactivate("M")
    assert made.orders == {}


ORDERS = st.tuples(
    st.sampled_from(["bid", "ask"]),
    st.integers(1, 99),
    st.integers(1, 50),
    st.sampled_from(["gtc", "ioc", "fok"]),
    st.integers(0, 3),
    st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ORDERS, max_size=40))
def test_no_book_is_crossed_and_level_changes_add_up_to_the_book(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    made = engine()
    shadow: dict[tuple[str, int], int] = {}
    for number, (side, cents, size, tif, account, cancels) in enumerate(steps):
        before = sum(o.remaining_e6 for o in made.orders.values())
        fresh = order(str(number), side, cents * 100, size, account=f"a{account}", tif=tif)
        if tif == "fok" and not made.can_fill(fresh):
            with pytest.raises(Refused):
                made.submit(fresh)
            assert sum(o.remaining_e6 for o in made.orders.values()) == before
        else:
            made.submit(fresh)
        if cancels and made.orders:
            made.cancel(next(iter(made.orders)))
        events = made.drain()
        last_price: int | None = None
        for event in events:
            if isinstance(event, LevelChanged):
                key = (event.side, event.price_e4)
                shadow[key] = shadow.get(key, 0) + event.size_change_e6
                assert shadow[key] == event.size_after_e6 >= 0
            elif isinstance(event, Traded):
                better = event.price_e4 if event.taker.side == "bid" else -event.price_e4
                assert last_price is None or better >= last_price
                last_price = better
        book = made.books["M"]
        assert book.best_bid is None or book.best_ask is None or book.best_bid < book.best_ask
        for name, levels in (("bid", book.bids), ("ask", book.asks)):
            assert {p: lv.total_e6 for p, lv in levels.items()} == {
                p: s for (n, p), s in shadow.items() if n == name and s
            }
            assert all(lv.total_e6 == sum(o.remaining_e6 for o in lv.orders.values()) for lv in levels.values())
