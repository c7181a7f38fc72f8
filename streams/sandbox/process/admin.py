"""The admin port: what a test or a person may tell the sandbox that no venue would let them.

JSON in and out, on 127.0.0.1 only, without any authentication. The routes are listed in `docs/sandbox.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, Protocol, get_args

import orjson

from streams.market.errors import ConfigurationError, Refused
from streams.market.fees import KalshiFeeSchedule, from_json
from streams.market.identity import MarketRef, Side, Venue
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.faults import SOCKET_KINDS, FaultPlan, FaultRule, parse_rule
from streams.sandbox.core.model import (
    CancelOrder,
    ChangeTick,
    DetermineMarket,
    MarketAction,
    PlaceOrder,
    SettleMarket,
)
from streams.sandbox.core.profile import Profile, adjusted, profile_state
from streams.sandbox.core.records import ExchangeMode
from streams.sandbox.core.scenario import Scenario, named_scenario, scenario_state
from streams.sandbox.exchange.exchange import Exchange, participant_order_id
from streams.sandbox.http.routes import Router
from streams.sandbox.http.server import Request, Response, Session
from streams.sandbox.kalshi.app import KalshiApp
from streams.sandbox.kalshi.venue import KalshiVenue
from streams.sandbox.polymarket.app import PolymarketApp

HOUSE = "house-admin"


class EmulatorApp(Protocol):
    """The part of a venue emulator's app that the admin port moves."""

    def reconsider_sockets(self, rule: FaultRule) -> None:
        """Give a new rule about sockets its chance at those that are open."""


@dataclass(slots=True)
class Controls:
    """What the admin port moves.

    Attributes:
        venue_ms: The time on a venue's clock.
        drop_orders: Tells the flow that its orders are gone.
        set_profile: Makes exchanges and flow act by another profile.
        copy_state: Commits, and returns a copy of the sandbox's database.
        set_scenario: Lets makers and rival takers act in another scenario.
        scenario: The one in force.
        is_flow_running: Whether the flow acts.
    """

    exchanges: dict[Venue, Exchange]
    apps: Mapping[Venue, EmulatorApp]
    faults: FaultPlan
    venue_ms: Callable[[Venue], int]
    commit: Callable[[], None]
    drop_orders: Callable[[], None]
    set_profile: Callable[[Profile], None]
    copy_state: Callable[[], bytes]
    set_scenario: Callable[[Scenario], None]
    scenario: Scenario
    is_flow_running: bool = True


class AdminApp:
    """Serves the admin port."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._numbers = count(1)
        self._prefix = f"a{controls.venue_ms(Venue.KALSHI):x}"
        self._router = router = Router()
        router.add("GET", "/faults", self._list_faults)
        router.add("POST", "/faults", self._add_faults)
        router.add("DELETE", "/faults", self._remove_faults)
        router.add("POST", "/mode", self._set_mode)
        router.add("POST", "/clock", self._set_clock)
        router.add("GET", "/behaviour", self._show_profile)
        router.add("PATCH", "/behaviour", self._change_profile)
        router.add("GET", "/scenario", self._show_scenario)
        router.add("PUT", "/scenario", self._change_scenario)
        router.add("POST", "/flow", self._run_flow)
        router.add("GET", "/markets/{venue}/{market_id}", self._show_market)
        router.add("POST", "/markets/{venue}/{market_id}/{action}", self._move_market)
        router.add("POST", "/fees", self._change_fees)
        router.add("POST", "/orders", self._place)
        router.add("DELETE", "/orders/{venue}/{order_key}", self._cancel)
        router.add("GET", "/truth/{venue}", self._truth)
        router.add("GET", "/copy", self._copy_state)

    def handle(self, request: Request) -> Response:
        """Answer a request; 400 with a sentence for what cannot be meant, 404 for what is not there."""
        found = self._router.find(request.method, request.path)
        if found is None:
            return _error(404, f"There is no {request.method} {request.path}.")
        handler, arguments = found
        try:
            response = handler(request, **arguments)
        except LookupError as error:
            return _error(404, str(error.args[0]))
        except (ValueError, TypeError) as error:
            return _error(400, str(error))
        except Refused as error:
            return _error(409, str(error))
        self._controls.commit()
        return response

    def open_session(self, request: Request) -> Session | Response:
        """There are no sockets here."""
        return _error(404, "The admin port has no sockets.")

    def _copy_state(self, request: Request) -> Response:
        """The sandbox's database as of now, as one file."""
        return Response(200, self._controls.copy_state())

    # -- faults, clock, profile, flow -----------------------------------------------------------------------------

    def _list_faults(self, request: Request) -> Response:
        faults = self._controls.faults
        return Response(200, {"seed": faults.seed, "rules": [rule.state() for rule in faults.rules]})

    def _add_faults(self, request: Request) -> Response:
        """One rule, or {"rules": [...]}. Rules about sockets get their chance at the open ones too."""
        document = _object(request)
        rules = [parse_rule(entry) for entry in document.get("rules", [document])]
        added = self._controls.faults.add(rules)
        for rule in added:
            if rule.kind in SOCKET_KINDS:
                for app in self._controls.apps.values():
                    app.reconsider_sockets(rule)
        return Response(200, {"rules": [rule.state() for rule in added]})

    def _remove_faults(self, request: Request) -> Response:
        """All, or the one whose id is given as `?id=`."""
        gone = self._controls.faults.remove(request.param("id"))
        if request.param("id") and not gone:
            raise LookupError(f"There is no fault rule {request.param('id')}.")
        return Response(200, {"removed": gone})

    def _set_mode(self, request: Request) -> Response:
        """`for_ms` ends it by itself, in the mode `then` (open)."""
        document = _object(request)
        venue, mode, then = (
            _venue(document.get("venue")),
            _mode(document.get("mode")),
            _mode(document.get("then", "open")),
        )
        now = self._controls.venue_ms(venue)
        until = now + _integer(document, "for_ms") if "for_ms" in document else None
        self._controls.exchanges[venue].status.change(mode, now, until_ms=until, then=then)
        return Response(200, {"venue": venue.value, "mode": mode, "until_ms": until})

    def _set_clock(self, request: Request) -> Response:
        document = _object(request)
        venue, skew = _venue(document.get("venue")), _integer(document, "skew_ms")
        self._controls.faults.clock_ms[venue] = skew
        return Response(200, {"venue": venue.value, "skew_ms": skew, "now_ms": self._controls.venue_ms(venue)})

    def _show_profile(self, request: Request) -> Response:
        return Response(200, profile_state(self._controls.exchanges[Venue.KALSHI].state.profile))

    def _change_profile(self, request: Request) -> Response:
        profile = adjusted(self._controls.exchanges[Venue.KALSHI].state.profile, _object(request))
        self._controls.set_profile(profile)
        return self._show_profile(request)

    def _show_scenario(self, request: Request) -> Response:
        return Response(200, scenario_state(self._controls.scenario))

    def _change_scenario(self, request: Request) -> Response:
        document = _object(request)
        if set(document) != {"name"} or not isinstance(document["name"], str):
            raise ValueError("a scenario is set by its name alone")
        try:
            scenario = named_scenario(document["name"])
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        self._controls.set_scenario(scenario)
        self._controls.scenario = scenario
        return self._show_scenario(request)

    def _run_flow(self, request: Request) -> Response:
        """Stop or go. `clear` takes the makers' orders off every book."""
        document = _object(request)
        if not isinstance(document.get("running"), bool):
            raise ValueError("running is true or false")
        self._controls.is_flow_running = document["running"]
        if document.get("clear"):
            for venue, exchange in self._controls.exchanges.items():
                for order in [order for order in exchange.state.engine.orders.values() if order.is_house]:
                    action = CancelOrder(MarketRef(venue, order.market_id), order.account, order.client_order_id)
                    exchange.apply(action, self._controls.venue_ms(venue))
            self._controls.drop_orders()
        return Response(200, {"running": self._controls.is_flow_running})

    # -- markets and orders -----------------------------------------------------------------------------------------

    def _show_market(self, request: Request, venue: str, market_id: str) -> Response:
        listed = self._exchange(venue).state.markets.get(market_id)
        if listed is None:
            raise LookupError(f"There is no market {market_id}.")
        book = listed.book
        state = {
            "status": listed.status,
            "bids": book.levels("bid"),
            "asks": book.levels("ask"),
            "result": listed.result,
            "settlement_e4": listed.settlement_e4,
        }
        return Response(200, state)

    def _move_market(self, request: Request, venue: str, market_id: str, action: str) -> Response:
        exchange, ref = self._exchange(venue), MarketRef(_venue(venue), market_id)
        if market_id not in exchange.state.markets:
            raise LookupError(f"There is no market {market_id}.")
        document, now = _object(request), self._controls.venue_ms(ref.venue)
        if action == "pause":
            exchange.lifecycle.pause(market_id, now)
        elif action == "reactivate":
            exchange.lifecycle.reactivate(market_id, now)
        elif action == "close":
            exchange.lifecycle.close_early(market_id, now)
        elif action == "change-close":
            exchange.lifecycle.change_close(market_id, _integer(document, "close_ms"), now)
        else:
            exchange.apply(_market_action(ref, action, document), now)
        return self._show_market(request, venue, market_id)

    def _change_fees(self, request: Request) -> Response:
        """Of a Kalshi series or event (`at_ms` says when), or of a Polymarket market."""
        document = _object(request)
        venue = _venue(document.get("venue"))
        answer = change_fees(self._controls.apps[venue], document, self._controls.venue_ms(venue))
        return Response(200, answer)

    def _place(self, request: Request) -> Response:
        """A simulated participant's order in YES terms; `is_immediate` cancels what does not trade at once."""
        document = _object(request)
        ref = MarketRef(_venue(document.get("venue")), str(document.get("market_id", "")))
        if ref.market_id not in self._controls.exchanges[ref.venue].state.markets:
            raise LookupError(f"There is no market {ref.market_id}.")
        if document.get("side") not in get_args(Side):
            raise ValueError("side is bid or ask")
        key = f"{self._prefix}.{next(self._numbers)}"
        action = PlaceOrder(
            ref, HOUSE, key, document["side"], _integer(document, "price_e4"), _integer(document, "size_e6"),
            is_immediate=bool(document.get("is_immediate")),
        )  # fmt: skip
        self._controls.exchanges[ref.venue].apply(action, self._controls.venue_ms(ref.venue))
        return Response(200, {"order_key": key})

    def _cancel(self, request: Request, venue: str, order_key: str) -> Response:
        exchange = self._exchange(venue)
        order = exchange.state.engine.orders.get(participant_order_id(HOUSE, order_key))
        if order is None:
            raise LookupError(f"No order {order_key} rests.")
        ref = MarketRef(exchange.state.venue, order.market_id)
        exchange.apply(CancelOrder(ref, HOUSE, order_key), self._controls.venue_ms(ref.venue))
        return Response(200, {"order_key": order_key})

    def _truth(self, request: Request, venue: str) -> Response:
        """Every order and trade from outside as the engine knows them, and the accounts: what really happened."""
        exchange = self._exchange(venue)
        accounts = [asdict(account) for account in exchange.state.accounts.accounts.values() if not account.is_house]
        state = {
            "orders": [record.state() for record in exchange.state.orders.values()],
            "trades": [trade.state() for trade in exchange.state.trades.values()],
            "accounts": accounts,
        }
        return Response(200, orjson.dumps(state, option=orjson.OPT_NON_STR_KEYS))

    def _exchange(self, venue: str) -> Exchange:
        return self._controls.exchanges[_venue(venue)]


def _market_action(ref: MarketRef, action: str, document: dict[str, Any]) -> MarketAction:
    if action == "settle":
        return SettleMarket(ref)
    if action == "tick":
        return ChangeTick(ref, _integer(document, "tick_e4"))
    if action == "determine":
        settlement = _integer(document, "settlement_e4")
        return DetermineMarket(ref, settlement, document.get("result") or _usual_result(settlement))
    raise LookupError(f"Nobody can {action} a market.")


def _usual_result(settlement_e4: int) -> Any:
    return "yes" if settlement_e4 == PRICE_ONE_E4 else "no" if settlement_e4 == 0 else "scalar"


def _object(request: Request) -> dict[str, Any]:
    document = orjson.loads(request.body or b"{}")
    if not isinstance(document, dict):
        raise ValueError("the body must be a JSON object")
    return document


def _venue(name: Any) -> Venue:
    if name not in tuple(Venue):
        raise LookupError(f"There is no venue {name!r}; known are {', '.join(Venue)}.")
    return Venue(name)


def _mode(name: Any) -> ExchangeMode:
    if name not in get_args(ExchangeMode):
        raise ValueError(f"a mode is one of {', '.join(get_args(ExchangeMode))}")
    mode: ExchangeMode = name
    return mode


def _integer(document: dict[str, Any], name: str) -> int:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be an integer")
    return value


def _error(status: int, message: str) -> Response:
    return Response(status, {"error": message})


def change_fees(app: EmulatorApp, document: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Carry out what `POST /fees` was given.

    Args:
        app: The app of the venue that is named.
        document: Kalshi: `series` or `event`, `fee_type`, `fee_multiplier`, `at_ms` (now); Polymarket: `market_id`,
            `schedule`.
        now_ms: The venue's time.

    Returns:
        The answer's JSON values.

    Raises:
        LookupError: If there is no such series, event or market.
        ValueError: If the document cannot be meant.
    """
    if isinstance(app, KalshiApp):
        return _appoint(app.kalshi, document, now_ms)
    if not isinstance(app, PolymarketApp):
        raise LookupError("This venue's fees cannot be changed.")
    market_id, schedule = document.get("market_id"), document.get("schedule")
    if market_id not in app.exchange.state.markets:
        raise LookupError(f"There is no market {market_id}.")
    if not isinstance(schedule, dict):
        raise ValueError("schedule is an object with rate, exponent and taker_only, or {} for no fees")
    app.polymarket.fees.change(str(market_id), schedule)
    return {"market_id": market_id, "schedule": schedule}


def _appoint(venue: KalshiVenue, document: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    named = [name for name in ("series", "event") if name in document]
    if len(named) != 1:
        raise ValueError("name either a series or an event")
    is_event, ticker = named == ["event"], str(document[named[0]])
    if ticker not in (venue.events if is_event else venue.series):
        raise LookupError(f"There is no {named[0]} {ticker}.")
    fee_type, multiplier = document.get("fee_type"), _multiplier_e6(document.get("fee_multiplier"))
    if not is_event and (fee_type is None or multiplier is None):
        raise ValueError("a series needs fee_type and fee_multiplier; null, its series' own, is for events")
    if fee_type is not None and not isinstance(fee_type, str):
        raise ValueError("fee_type is a word")
    at_ms = document.get("at_ms", now_ms)
    if type(at_ms) is not int or at_ms < now_ms:
        raise ValueError(f"at_ms is a whole number of milliseconds, not before now ({now_ms})")
    change_id = venue.fees.schedule(ticker, at_ms, fee_type, multiplier, is_event=is_event)
    venue.fees.apply_due(now_ms)
    return {"id": change_id, named[0]: ticker, "at_ms": at_ms}


def _multiplier_e6(value: Any) -> int | None:
    if value is None:
        return None
    schedule = from_json(Venue.KALSHI, {"fee_multiplier": value})
    assert isinstance(schedule, KalshiFeeSchedule)
    return schedule.multiplier_e6
