"""A person says what became of an order that nobody could read, and the venue may show another fate later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from app.act_rules import ActRefused, UnknownSubject, UnusableReason
from app.order_actions import resolve_order
from orchestration.execution.reconcile import reconcile
from orchestration.execution.unknown_orders.resolving import obey_resolutions
from streams.market.identity import Venue
from streams.storage.database import connect
from streams.storage.store.accounting.switches import account_switches
from streams.storage.store.hedges.unknown_orders import load_unknown_orders
from tests.integration.execution.test_unknown_orders import Hidden, Stage
from tests.support.fake_venue import look_again, rows


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with connect(database) as connection:
        yield Stage(connection, {venue: Hidden(venue, connection, index, {}) for index, venue in enumerate(Venue)})


def say(stage: Stage, filled: str, price: str | None = None) -> str:
    """Let a person say what has filled, and a cycle obey it."""
    named: dict[str, Any] = {"who": "Ada", "reason": "the venue's page"}
    at = None if price is None else Decimal(price)
    command_id = resolve_order(stage.connection, 1, filled=Decimal(filled), price=at, **named)
    asyncio.run(obey_resolutions(stage.connection, stage.context, "cycle"))
    command = rows(stage.connection, f"SELECT * FROM trading.commands WHERE command_id = {command_id}")[0]
    assert command["asked_by"] == "Ada"
    return str(command["result"])


def shown(stage: Stage) -> None:
    """The venue shows the order after all."""
    stage.venue.is_silent = False
    look_again(stage.connection)
    asyncio.run(reconcile(stage.connection, stage.context, "cycle"))


def really_filled(stage: Stage) -> Decimal:
    fills = stage.venue._orders[stage.order()["client_order_id"]]["fills"]
    return Decimal(sum(fill["size"] for fill in fills)) / 1_000_000


def alerts(stage: Stage) -> set[str]:
    return {row["kind"] for row in rows(stage.connection, "SELECT kind FROM trading.alerts WHERE cleared_at IS NULL")}


def booked(stage: Stage) -> int:
    found = rows(stage.connection, "SELECT sum(contracts_e6)::bigint AS n FROM trading.positions")
    return int(found[0]["n"] or 0)


def test_an_order_that_never_arrived_frees_its_trade_and_stands_with_who_said_so(stage: Stage) -> None:
    assert [order.order_id for order in load_unknown_orders(stage.connection, "live")] == [1]
    assert say(stage, "0") == "done: it never arrived"
    assert (stage.order()["state"], stage.state()) == ("expired", "FLAT")
    assert load_unknown_orders(stage.connection, "live") == []
    event = rows(stage.connection, "SELECT detail FROM trading.execution_events ORDER BY event_id")
    assert {"by": "Ada", "reason": "the venue's page"}.items() <= event[-2]["detail"].items()


def test_what_has_filled_is_booked_at_the_price_that_was_said(stage: Stage) -> None:
    assert say(stage, "3", "0.5") == "done: 3 contracts have filled"
    assert (stage.order()["filled_e6"], stage.order()["cash_e6"]) == (3_000_000, 1_500_000)
    assert booked(stage) == 3_000_000
    assert stage.state() == "ESCALATED"
    assert "escalated" in alerts(stage), "what it holds was priced and alarmed anew"


def test_a_venue_that_shows_the_same_puts_its_own_fills_in_its_place(stage: Stage) -> None:
    say(stage, f"{really_filled(stage):f}", "0.5")
    shown(stage)
    order = stage.order()
    assert order["resolved_by"] is None
    assert Decimal(order["filled_e6"]) / 1_000_000 == really_filled(stage)
    assert order["cash_e6"] == sum(f["cash"] for f in stage.venue._orders[order["client_order_id"]]["fills"])
    assert booked(stage) == order["filled_e6"]
    assert "resolved_order" not in alerts(stage)
    assert account_switches(stage.connection, "live") == {}


@pytest.mark.parametrize("said", ["0", "3"])
def test_a_venue_that_shows_another_fate_is_booked_and_is_a_break(stage: Stage, said: str) -> None:
    say(stage, said, "0.5")
    shown(stage)
    assert stage.order()["filled_e6"] == int(really_filled(stage) * 1_000_000)
    assert said == "0" or booked(stage) == stage.order()["filled_e6"], "a flat trade has begun to sell it"
    assert "resolved_order" in alerts(stage)
    assert account_switches(stage.connection, "live")[stage.venue.venue].state == "reduce"
    look_again(stage.connection)
    asyncio.run(reconcile(stage.connection, stage.context, "cycle"))
    assert len(rows(stage.connection, "SELECT 1 FROM trading.account_switches")) == 1, "told once"


def test_it_is_looked_for_all_the_same(stage: Stage) -> None:
    say(stage, "3")
    before = stage.venue.reads
    stage.look(500, 1_000, 10_000)
    assert stage.venue.reads == before + 3
    assert stage.order()["state"] == "partial"


def test_less_than_the_venue_itself_has_said_is_refused(stage: Stage) -> None:
    stage.connection.execute("UPDATE trading.orders SET answered_e6 = 4000000")
    assert say(stage, "3") == "refused: the venue itself says that more has filled"
    assert stage.order()["state"] == "unknown"


def test_asked_twice_it_is_done_once(stage: Stage) -> None:
    first = resolve_order(stage.connection, 1, filled=Decimal(3), who="Ada", reason="page")
    assert resolve_order(stage.connection, 1, filled=Decimal(3), who="Ben", reason="page") == first
    asyncio.run(obey_resolutions(stage.connection, stage.context, "cycle"))
    asyncio.run(obey_resolutions(stage.connection, stage.context, "cycle"))
    assert booked(stage) == 3_000_000
    with pytest.raises(ActRefused, match="is known"):
        resolve_order(stage.connection, 1, filled=Decimal(3), who="Ada", reason="page")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"order_id": 7}, UnknownSubject),
        ({"order_id": 2**63}, UnknownSubject),
        ({"filled": Decimal("NaN")}, ActRefused),
        ({"filled": Decimal(-1)}, ActRefused),
        ({"filled": Decimal("0.0000001")}, ActRefused),
        ({"price": Decimal(1)}, ActRefused),
        ({"price": Decimal("0.12345")}, ActRefused),
        ({"reason": " "}, UnusableReason),
    ],
)
def test_what_cannot_be_is_refused(stage: Stage, change: dict[str, Any], error: type[Exception]) -> None:
    named: dict[str, Any] = {"filled": Decimal(1), "who": "Ada", "reason": "page", **change}
    with pytest.raises(error):
        resolve_order(stage.connection, named.pop("order_id", 1), **named)
    assert not rows(stage.connection, "SELECT 1 FROM trading.commands")
