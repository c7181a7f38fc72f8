"""What an order must satisfy before the exchange gets it: the rules of its kind and market, a balance."""

from __future__ import annotations

from streams.sandbox.core.records import OrderRequest
from streams.sandbox.polymarket.clob.order_form import Form
from streams.sandbox.polymarket.clob.refusals import Invalid
from streams.sandbox.polymarket.contracts import (
    COLLATERAL,
    CONDITIONAL_TOKENS,
    EXCHANGE_V2,
    EXCHANGE_V3,
    NEG_RISK_EXCHANGE_V2,
    POSITION_MANAGER,
)
from streams.sandbox.polymarket.formats import decimal_text, size
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.polymarket.signing import is_position_id
from streams.sandbox.polymarket.venue import PolymarketVenue

_LEAST_NOTIONAL_E6 = 1_000_000
_LATEST_S = 253_402_300_799
"""The last second of the year 9999."""


def check_terms(form: Form, settings: PolymarketVenueSettings, now_ms: int) -> None:
    """Check an order against the rules of its kind and its market.

    Raises:
        Invalid: With the venue's text.
    """
    if form.is_post_only and form.is_immediate:
        raise Invalid("invalid post-only order: only GTC and GTD orders can be post-only")
    if form.is_immediate:
        if form.maker_e6 % 10_000:
            raise Invalid("invalid amounts, the maker amount supports a max accuracy of 2 decimals")
    elif form.shares_e6 < form.listed.market.min_size_e6:
        least = size(form.listed.market.min_size_e6)
        raise Invalid(
            f"order {form.order_id} is invalid. Size ({size(form.shares_e6)}) lower than the minimum: {least}"
        )
    if form.is_buy and (form.is_immediate or form.is_marketable) and form.maker_e6 < _LEAST_NOTIONAL_E6:
        shown = decimal_text(form.maker_e6, 6)
        raise Invalid(f"invalid amount for a marketable BUY order (${shown}), min size: $1")
    if form.kind != "GTD":
        if form.expiration != "0":
            raise Invalid("invalid expiration")
    elif not form.expiration.isdecimal() or not _is_soon_enough(int(form.expiration), settings, now_ms):
        raise Invalid("invalid expiration")


def _is_soon_enough(expiration_s: int, settings: PolymarketVenueSettings, now_ms: int) -> bool:
    return now_ms // 1000 + settings.gtd_least_s <= expiration_s <= _LATEST_S


def check_balance(venue: PolymarketVenue, form: Form, request: OrderRequest, now_ms: int) -> None:
    """Refuse an order that a stale balance or a missing allowance does not cover; the exchange checks the rest.

    Raises:
        Invalid: With the venue's text.
    """
    spender, token = _spender(form)
    allowed = venue.allowances.amount(str(form.order["maker"]), token, spender)
    amount = form.maker_e6
    if allowed < (amount if token == COLLATERAL else 1):
        raise Invalid(
            "not enough balance / allowance: the allowance is not enough -> "
            f"spender: {spender}, allowance: {allowed}, order amount: {amount}"
        )
    if not venue.exchange.state.profile.balance_cache_ms:
        return
    if form.is_buy:
        believed = venue.balances.dollars(request.account_id, now_ms) - venue.exchange.transfers.reserved_e6(
            request.account_id
        )
    else:
        believed = venue.balances.tokens(request.account_id, form.listed, form.outcome, now_ms)
    if amount > believed:
        raise Invalid(
            f"not enough balance / allowance: the balance is not enough -> balance: {believed}, order amount: {amount}"
        )


def _spender(form: Form) -> tuple[str, str]:
    is_position = is_position_id(int(form.order["tokenId"]))
    neg_or_not = NEG_RISK_EXCHANGE_V2 if form.listed.market.is_neg_risk else EXCHANGE_V2
    spender = EXCHANGE_V3 if is_position else neg_or_not
    if form.is_buy:
        return spender, COLLATERAL
    return spender, POSITION_MANAGER if is_position else CONDITIONAL_TOKENS
