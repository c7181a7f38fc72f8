"""A posted order: its form, its signature, its economics. Refusals carry the venue's texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.market.identity import Outcome, Side
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.book import TimeInForce
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.polymarket.auth import PolymarketKey
from streams.sandbox.polymarket.clob.refusals import INVALID_PAYLOAD, Invalid
from streams.sandbox.polymarket.formats import PRICES, decimal_text
from streams.sandbox.polymarket.keyring import KeyRing
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.polymarket.signing import DEPOSIT_WALLET, order_digest_and_signer

TIMES_IN_FORCE: dict[str, TimeInForce] = {"GTC": "gtc", "GTD": "gtd", "FOK": "fok", "FAK": "ioc"}
_FIELDS = (
    "salt", "maker", "signer", "tokenId", "makerAmount", "takerAmount", "side", "signatureType", "timestamp",
    "metadata", "builder", "signature",
)  # fmt: skip
_AMOUNTS = ("makerAmount", "takerAmount", "timestamp")
_V1_FIELDS = {"nonce", "feeRateBps", "taker"}
_LONGEST_SALT = 2**256


@dataclass(frozen=True, slots=True)
class Form:
    """A posted order whose form and signature are right.

    Attributes:
        order: The signed part of the body.
        maker_e6 / taker_e6: What is given and what is wanted.
        price_e4: The limit, of the order's own token.
        kind: GTC, GTD, FOK or FAK.
    """

    order_id: str
    order: dict[str, Any]
    listed: ListedMarket
    outcome: Outcome
    is_buy: bool
    maker_e6: int
    taker_e6: int
    price_e4: int
    kind: str
    expiration: str
    is_post_only: bool

    @property
    def tif(self) -> TimeInForce:
        """The engine's time in force."""
        return TIMES_IN_FORCE[self.kind]

    @property
    def is_immediate(self) -> bool:
        """Whether nothing of it may rest."""
        return self.kind in ("FOK", "FAK")

    @property
    def shares_e6(self) -> int:
        """Shares bought or sold at the limit."""
        return self.taker_e6 if self.is_buy else self.maker_e6

    @property
    def side(self) -> Side:
        """Side in the YES book: buying NO is selling YES."""
        return "bid" if self.is_buy == (self.outcome == "yes") else "ask"

    @property
    def yes_price_e4(self) -> int:
        """The limit in YES terms."""
        return self.price_e4 if self.outcome == "yes" else PRICE_ONE_E4 - self.price_e4

    @property
    def is_marketable(self) -> bool:
        """Whether it would trade right now."""
        book = self.listed.book
        if self.side == "bid":
            return book.best_ask is not None and self.yes_price_e4 >= book.best_ask
        return book.best_bid is not None and self.yes_price_e4 <= book.best_bid


def read_order(
    body: Any, key: PolymarketKey, keyring: KeyRing, tokens: dict[str, tuple[ListedMarket, Outcome]]
) -> Form:
    """Check a body's form, whose order it is and who signed it.

    Raises:
        Invalid: With the venue's text.
    """
    order = _signed_part(body, key)
    found = tokens.get(str(order["tokenId"]))
    if found is None:
        raise Invalid(f"{INVALID_PAYLOAD}: unknown token")
    listed, outcome = found
    try:
        order_id, signer = order_digest_and_signer(order, is_neg_risk=listed.market.is_neg_risk)
        maker_e6, taker_e6 = int(order["makerAmount"]), int(order["takerAmount"])
        price = _price(maker_e6, taker_e6, listed.tick_e4, order_id, is_buy=order["side"] == "BUY")
        _check_wallet(order, key, keyring, signer)
    except (ValueError, TypeError, AttributeError):
        raise Invalid(INVALID_PAYLOAD) from None
    kind = body.get("orderType", "GTC")
    if not isinstance(kind, str) or kind not in TIMES_IN_FORCE:
        raise Invalid(INVALID_PAYLOAD)
    expiration = str(order.get("expiration", "0"))
    return Form(
        order_id, order, listed, outcome, order["side"] == "BUY", maker_e6, taker_e6, price, kind, expiration,
        bool(body.get("postOnly")),
    )  # fmt: skip


def expiry_ms(form: Form, settings: PolymarketVenueSettings) -> int | None:
    """When a GTD order leaves the book: a minute before the time it states."""
    return (int(form.expiration) - settings.gtd_early_s) * 1000 if form.kind == "GTD" else None


def _signed_part(body: Any, key: PolymarketKey) -> dict[str, Any]:
    order = body.get("order") if isinstance(body, dict) else None
    if not isinstance(order, dict):
        raise Invalid(INVALID_PAYLOAD)
    if _V1_FIELDS & set(order):
        raise Invalid("order_version_mismatch")
    if any(name not in order for name in _FIELDS) or order["side"] not in ("BUY", "SELL"):
        raise Invalid(INVALID_PAYLOAD)
    salt, signature_type = order["salt"], order["signatureType"]
    if type(salt) is not int or not 0 <= salt < _LONGEST_SALT:
        raise Invalid(INVALID_PAYLOAD)
    if any(not str(order[name]).isascii() or not str(order[name]).isdecimal() for name in _AMOUNTS):
        raise Invalid(INVALID_PAYLOAD)
    if type(signature_type) is not int or not 0 <= signature_type <= DEPOSIT_WALLET:
        raise Invalid(INVALID_PAYLOAD)
    if body.get("owner") != key.api_key:
        raise Invalid("the order owner has to be the owner of the API KEY")
    return order


def _check_wallet(order: dict[str, Any], key: PolymarketKey, keyring: KeyRing, signer: str | None) -> None:
    """Types 0 to 2 name the signing key as signer; type 3 names the wallet, and its owner signs for it."""
    maker, named, kind = str(order["maker"]), str(order["signer"]), int(order["signatureType"])
    if kind == DEPOSIT_WALLET:
        if maker.lower() != named.lower():
            raise Invalid("invalid signature")
    elif named.lower() != key.address.lower():
        raise Invalid("the order signer address has to be the address of the API KEY")
    if signer is None or signer.lower() != key.address.lower():
        raise Invalid("invalid signature")
    if not keyring.owns(key.address, maker, kind):
        raise Invalid("maker address not allowed, please use the deposit wallet flow")


def _price(maker_e6: int, taker_e6: int, tick_e4: int, order_id: str, *, is_buy: bool) -> int:
    """The limit: the ratio of the two amounts, which must be a tick but for their own rounding.

    Amounts carry 2 to 6 decimals, so the ratio may sit a hair off its tick. A buy a hair below it cannot pay that tick,
    a sell a hair above cannot be had for it.
    """
    dollars, shares = (maker_e6, taker_e6) if is_buy else (taker_e6, maker_e6)
    if dollars <= 0 or shares <= 0:
        raise Invalid(INVALID_PAYLOAD)
    scaled = dollars * PRICE_ONE_E4
    tick = (scaled + shares * tick_e4 // 2) // (shares * tick_e4) * tick_e4
    # The rounding of either amount: a ten-thousandth of a dollar or of a share.
    slack = 100 * PRICE_ONE_E4 + tick * 100
    if abs(scaled - tick * shares) > slack:
        raise _off_tick(scaled // shares, tick_e4, order_id)
    if is_buy and scaled < tick * shares:
        tick -= tick_e4
    elif not is_buy and scaled > tick * shares:
        tick += tick_e4
    if not tick_e4 <= tick <= PRICE_ONE_E4 - tick_e4:
        raise _off_tick(tick, tick_e4, order_id)
    return tick


def _off_tick(price_e4: int, tick_e4: int, order_id: str) -> Invalid:
    shown = decimal_text(price_e4, 4)
    return Invalid(f"order {order_id} is invalid. Price ({shown}) breaks minimum tick size rule: {PRICES[tick_e4]}")
