"""What a venue's answer to an order proves, read against the order it answers, and what was wrong with one. PURE.

An answer whose amounts contradict the order proves nothing but the id it names: then only reads tell what filled.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

from orchestration.execution.venues.gateway import OrderAnswer, OrderSpec
from streams.market.errors import InvalidAmount, Refused, StreamsError
from streams.market.fees import taker_fee_e6
from streams.market.units import CASH_SCALE, PRICE_ONE_E4, PRICE_SCALE, SIZE_SCALE, cash_e6_of
from streams.venues.common.decimals import plain_decimal
from streams.venues.kalshi.types.orders import OrderAnswer as KalshiAnswer
from streams.venues.polymarket.clob.orders import PostAnswer

_CENT_E6 = 10_000
_LEAST_E6 = 100
"""Less than this is no match of a venue: what looks like one is an amount in another unit."""


_NOTHING_TO_TAKE = frozenset({"fill_or_kill_insufficient_resting_volume", "fok_not_filled", "fak_not_matched"})
"""Refusals that say only that nobody offers any more what was to be taken."""


def fault_of(error: StreamsError) -> Literal["refused", "venue"] | None:
    """Return what was wrong with the sending of an order that ended in an error, for the circuit breakers.

    None: nothing was, there was only nothing to take. `refused`: the venue understood and said no. `venue`: it gave no
    answer of use.
    """
    if isinstance(error, Refused):
        return None if error.code in _NOTHING_TO_TAKE else "refused"
    return "venue"


def of_kalshi(answer: KalshiAnswer, spec: OrderSpec | None) -> OrderAnswer:
    """Return what the answer to an immediate-or-cancel order proves: its counts, and with nothing left over its end.

    The venue states the average price in YES dollars and rounds it; where it states none, the limit counts.
    """
    bare = OrderAnswer(answer.order_id)
    if spec is None or answer.filled_e6 < 0 or answer.filled_e6 + answer.remaining_e6 > spec.size_e6:
        return bare
    if answer.filled_e6 == 0:
        return replace(bare, is_final=answer.remaining_e6 == 0)
    try:
        cash = _average_cash_e6(answer, spec)
    except InvalidAmount:
        return bare
    filled = _filled(bare, spec, answer.filled_e6, cash)
    return bare if filled is None else replace(filled, is_final=answer.remaining_e6 == 0)


def of_polymarket(answer: PostAnswer, order_id: str, spec: OrderSpec | None) -> OrderAnswer:
    """Return what the answer to a fill-and-kill order proves: `matched` with amounts is its end.

    `live`, `delayed` and `unmatched` are not: such an order may fill later, or rest.
    """
    bare = OrderAnswer(answer.order_id or order_id)
    if spec is None or answer.status != "matched":
        return bare
    making, taking = str(answer.payload.get("makingAmount") or ""), str(answer.payload.get("takingAmount") or "")
    if spec.action == "buy":
        bound = spec.spend_e6 if spec.spend_e6 is not None else _most_cash_e6(spec)
        amounts = _in_one_unit(making, taking, bound)
        filled = None if amounts is None else _filled(bare, spec, amounts[1], amounts[0])
    else:
        amounts = _in_one_unit(making, taking, spec.size_e6)
        filled = None if amounts is None else _filled(bare, spec, amounts[0], amounts[1])
    return bare if filled is None else replace(filled, is_final=True)


def _filled(bare: OrderAnswer, spec: OrderSpec, contracts_e6: int, cash_e6: int) -> OrderAnswer | None:
    """Return the answer with amounts; None where they break the order's limit or size: they mean another thing."""
    if contracts_e6 <= 0 or cash_e6 <= 0 or cash_e6 > contracts_e6 * CASH_SCALE // SIZE_SCALE:
        return None
    is_buy = spec.action == "buy"
    if is_buy and spec.spend_e6 is None and contracts_e6 > spec.size_e6:
        return None
    limit_cash = cash_e6_of(spec.limit_price_e4, contracts_e6, paying=is_buy)
    if cash_e6 > limit_cash + _CENT_E6 if is_buy else cash_e6 < limit_cash - _CENT_E6:
        return None
    price = min(max(cash_e6 * PRICE_SCALE // contracts_e6, 1), PRICE_ONE_E4 - 1)
    fee = taker_fee_e6(price, contracts_e6, spec.target.schedule, is_buy=is_buy)
    return replace(bare, filled_e6=contracts_e6, cash_e6=cash_e6, fee_e6=fee)


def _average_cash_e6(answer: KalshiAnswer, spec: OrderSpec) -> int:
    is_buy = spec.action == "buy"
    if answer.average_price_usd is None:
        return cash_e6_of(spec.limit_price_e4, answer.filled_e6, paying=is_buy)
    yes = Decimal(plain_decimal(answer.average_price_usd))
    price = yes if spec.outcome == "yes" else 1 - yes
    return int((price * answer.filled_e6).to_integral_value(ROUND_CEILING if is_buy else ROUND_FLOOR))


def _most_cash_e6(spec: OrderSpec) -> int:
    return cash_e6_of(spec.limit_price_e4, spec.size_e6, paying=True)


def _in_one_unit(making: str, taking: str, most_making_e6: int) -> tuple[int, int] | None:
    """Return both amounts in 1e-6, whichever of the venue's two documented units they are in; None for neither.

    What an order gives (`making`) is bounded by the order, which tells plain decimals from millionths: a million times
    too much, or a million times less than anything that can be matched.
    """
    try:
        plain = tuple(int(Decimal(plain_decimal(text)) * CASH_SCALE) for text in (making, taking))
        whole = tuple(Decimal(plain_decimal(text)) for text in (making, taking))
    except InvalidAmount:
        return None
    if plain[0] <= most_making_e6 + _CENT_E6:
        return (plain[0], plain[1]) if min(plain) >= _LEAST_E6 else None
    if any(amount != int(amount) for amount in whole):
        return None
    made, taken = int(whole[0]), int(whole[1])
    return (made, taken) if _LEAST_E6 <= made <= most_making_e6 + _CENT_E6 and taken >= _LEAST_E6 else None
