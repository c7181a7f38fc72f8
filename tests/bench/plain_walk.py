"""The baseline of the edge benches: the same question answered with Decimal, as one writes it down first."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

ONE = Decimal(1)
Levels = Sequence[tuple[Decimal, Decimal]]


def kalshi_fee(price: Decimal, size: Decimal) -> Decimal:
    """0.07 x C x P x (1 - P), and the balance rounded to 0.0001."""
    cost = (price * size).quantize(Decimal("0.000001"), ROUND_CEILING)
    fee = (Decimal("0.07") * size * price * (ONE - price)).quantize(Decimal("0.000001"), ROUND_CEILING)
    return -(-(cost + fee)).quantize(Decimal("0.0001"), ROUND_FLOOR) - cost


def polymarket_fee(price: Decimal, size: Decimal) -> Decimal:
    """0.04 x C x P x (1 - P), five decimals."""
    fee = Decimal("0.04") * size * price * (ONE - price)
    return Decimal(0) if fee < Decimal("0.00001") else fee.quantize(Decimal("0.00001"), ROUND_HALF_UP)


def walk(kalshi: Levels, polymarket: Levels, threshold: Decimal) -> tuple[Decimal, Decimal, Decimal] | None:
    """Return (contracts, profit, net edge per contract at the best level) down to the last level worth taking."""
    books = [list(kalshi), list(polymarket)]
    total, best = Decimal(0), None
    while all(books):
        part = min(book[0][1] for book in books)
        spent = sum(book[0][0] * part for book in books)
        spent += kalshi_fee(books[0][0][0], part) + polymarket_fee(books[1][0][0], part)
        gain = part - spent
        if gain <= threshold * part:
            break
        best = gain / part if best is None else best
        total += part
        for book in books:
            price, size = book.pop(0)
            if size > part:
                book.insert(0, (price, size - part))
    size = total.quantize(Decimal("0.01"), ROUND_FLOOR)
    if best is None or not size:
        return None
    profit = size
    for levels, fee in ((kalshi, kalshi_fee), (polymarket, polymarket_fee)):
        left = size
        for price, offered in levels:
            part = min(left, offered)
            profit -= (price * part).quantize(Decimal("0.000001"), ROUND_CEILING) + fee(price, part)
            left -= part
            if not left:
                break
    return size, profit, best
