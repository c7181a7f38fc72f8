"""Crypto: price ladders for a day and for the year, with the same source and with another one."""

from __future__ import annotations

from streams.sandbox.catalogue.bundled.draft import TAPERED_GRID, Draft, day, long_day, settles

_COINS = (
    # name, ticker, price, daily sd, strikes on the day, yearly highs
    (
        "Bitcoin",
        "BTC",
        92_000,
        2_600,
        (86_000, 88_000, 90_000, 92_000, 94_000, 96_000, 98_000),
        (100_000, 110_000, 120_000, 130_000, 150_000),
    ),
    ("Ethereum", "ETH", 3_050, 130, (2_800, 2_900, 3_000, 3_100, 3_200, 3_300), (3_500, 4_000, 4_500, 5_000)),
    ("Solana", "SOL", 142, 7, (130, 135, 140, 145, 150), (180, 200, 250)),
)


def draft(book: Draft) -> None:
    """Add the crypto markets."""
    for coin in _COINS:
        _on_a_day(book, *coin[:5])
        _yearly_high(book, coin[0], coin[1], coin[2], coin[5])
    _first_of_two(book)


def _on_a_day(book: Draft, name: str, code: str, price: int, sd: int, strikes: tuple[int, ...]) -> None:
    index = book.fact(f"{code.lower()}-day-index", "scalar", mean=price, sd=sd, step="0.01", volatility=1.6)
    noon = book.fact(
        f"{code.lower()}-day-noon",
        "scalar",
        mean=price,
        sd=sd * 0.9,
        step="0.01",
        parent=index,
        coupling=0.8,
        volatility=1.6,
    )
    event = book.kalshi_event(f"KX{code}D", f"{day(2, '%y%b%d')}17", f"{name} price on {day(2)} at 5pm EST?", "Crypto")
    same = book.poly_event(
        f"{name} above ___ on {day(2, '%B %-d')}, 5PM ET?", "Crypto", slug=f"{name.lower()}-above-5pm-{{{{d2}}}}"
    )
    other = book.poly_event(
        f"{name} above ___ on {day(2, '%B %-d')}?", "Crypto", slug=f"{name.lower()}-above-{{{{d2}}}}"
    )
    for number, strike in enumerate(strikes):
        ticker = book.kalshi(
            event,
            f"T{strike - 0.01:.2f}",
            f"{name} price on {day(2)} at 5pm EST?",
            f"If the simple average of the sixty seconds of CF Benchmarks' {name} Real-Time Index before 5 PM EST is above {strike - 0.01:.2f} at 5 PM EST on {day(2)}, then the market resolves to Yes.",
            2,
            settles(index, "gt", f"{strike - 0.01:.2f}"),
            yes=f"${strike:,} or above",
            subtitle=f"${strike:,} or above",
            hour=22,
            strike={"type": "greater", "floor": f"{strike - 0.01:.2f}"},
            ranges=TAPERED_GRID,
            rules2="Not all cryptocurrency price data is the same. Only CF Benchmarks' published index decides; the average is taken over the sixty readings of the last minute.",
        )
        if number % 2 == 0:
            book.poly(
                same,
                f"Will {name} be ${strike:,} or above at 5PM ET on {day(2, '%B %-d')}?",
                f'This market will resolve to "Yes" if the average of CF Benchmarks\' {name} Real-Time Index over the minute that ends at 5:00 PM ET on {long_day(2)} is ${strike:,} or higher. Otherwise, this market will resolve to "No".\n\nPrices on single exchanges, perpetual contracts and other indexes are not considered.',
                2,
                settles(index, "ge", str(strike)),
                hour=22,
                item=f"{strike:,}",
                slug=f"{name.lower()}-{strike}-at-5pm-{{{{d2}}}}",
            )
        slug = book.poly(
            other,
            f"Will the price of {name} be above ${strike:,} on {day(2, '%B %-d')}?",
            f'This market will resolve to "Yes" if the Binance 1 minute candle for {code}/USDT at 12:00 in the ET timezone (noon) on {long_day(2)} has a final "Close" price higher than {strike:,}. Otherwise, this market will resolve to "No".\n\nThe resolution source is Binance, specifically the {code}/USDT "Close" prices with "1m" and "Candles" selected. Prices on other exchanges, pairs or spot markets are not considered.',
            2,
            settles(noon, "gt", str(strike)),
            hour=17,
            item=f"{strike:,}",
            slug=f"{name.lower()}-above-{strike}-on-{{{{d2}}}}",
        )
        book.near(ticker, slug, "5 PM index average against noon price on one exchange")


def _yearly_high(book: Draft, name: str, code: str, price: int, strikes: tuple[int, ...]) -> None:
    fact = book.fact(
        f"{code.lower()}-year-high", "scalar", mean=price * 1.25, sd=price * 0.22, step="0.01", volatility=0.8
    )
    year = "{{y1:%Y}}"
    event = book.kalshi_event(
        f"KX{code}MAXY", "{{y1:%y}}DEC31", f"How high will {name} get in {year}?", "Crypto", fee="0"
    )
    poly = book.poly_event(f"What price will {name} hit in {year}?", "Crypto")
    for strike in strikes:
        book.kalshi(
            event,
            f"{strike - 0.01:.2f}",
            f"How high will {name} get in {year}?",
            f"If the price of {name} per Coinbase is at or above ${strike:,} at any time between Jan 1, {year} and Dec 31, {year}, 11:59 PM ET, then the market resolves to Yes.",
            400,
            settles(fact, "ge", strike),
            yes=f"${strike:,} or above",
            subtitle=f"${strike:,} or above",
            strike={"type": "greater_or_equal", "floor": str(strike)},
            rules2="One trade on the order book of Coinbase's USD pair is sufficient. Prices printed before the start of the period do not count.",
        )
        book.poly(
            poly,
            f"Will {name} reach ${strike:,} in {year}?",
            f'This market will immediately resolve to "Yes" if any Coinbase 1 minute candle for {code}/USD between January 1, {year}, 12:00 AM ET and December 31, {year}, 11:59 PM ET has a final "High" price equal to or greater than ${strike:,}. Otherwise, this market will resolve to "No".\n\nThe resolution source is Coinbase, specifically the {code}/USD "High" prices. Prices on other exchanges are not considered.',
            400,
            settles(fact, "ge", strike),
            item=f"↑ {strike:,}",
        )


def _first_of_two(book: Draft) -> None:
    fact = book.fact("btc-first", "categorical", options={"80k": 0.46, "105k": 0.34, "neither": 0.20}, volatility=1.2)
    event = book.kalshi_event("KXBTCFIRST", "{{d45:%y%b%d}}", "Bitcoin: $80k or $105k first?", "Crypto")
    ticker = book.kalshi(
        event,
        "80",
        f"Will Bitcoin hit $80,000 before $105,000 and before {day(45)}?",
        f"If the price of Bitcoin per Coinbase falls to $80,000 before it rises to $105,000, and does so before {day(45)}, then the market resolves to Yes.",
        45,
        settles(fact, "in", ["80k"]),
        rules2="If neither price is reached before the date, the market resolves to No.",
    )
    poly = book.poly_event("Bitcoin: $80k or $105k first?", "Crypto")
    slug = book.poly(
        poly,
        "Will Bitcoin hit $80k or $105k first?",
        f'This market will resolve to "$80k" if a Coinbase 1 minute candle for BTC/USD has a low at or under $80,000 before one has a high at or above $105,000, and to "$105k" in the other case.\n\nIf neither has happened by {long_day(45)}, 11:59 PM ET, this market will resolve 50-50.',
        45,
        settles("btc-first-half", "in", ["80k"], void="half"),
        outcomes=("$80k", "$105k"),
    )
    book.lines.insert(
        -1,
        {
            "type": "fact",
            "id": "btc-first-half",
            "kind": "categorical",
            "options": {"80k": 0.57, "105k": 0.43},
            "parent": fact,
            "coupling": 0.9,
            "void": 0.2,
        },
    )
    book.near(ticker, slug, "neither price reached: No against fifty-fifty")
