"""Economics and finance: rate decisions, inflation, jobs, growth, fuel prices."""

from __future__ import annotations

from streams.sandbox.catalogue.bundled.draft import CREDIBLE, Draft, day, long_day, settles

_FED_P = (
    "The Federal Reserve's interest rates are defined by the upper bound of the target federal funds range. "
    "This market resolves by how that upper bound changes, in basis points, against its level before the "
    "{month} FOMC meeting, whose statement is scheduled for {date}.\n\nA change that is not a multiple of 25 basis points is rounded "
    "up to the next 25 in the direction of the change. If no statement has been published by the end of the day after "
    'the scheduled date, this market resolves to "No change".\n\nThe resolution source is the FOMC\'s statement on the '
    "Federal Reserve's website (https://www.federalreserve.gov/monetarypolicy/fomccalendars.htm)."
)
_CPI_P = (
    'This market will resolve to "Yes" if the Consumer Price Index for All Urban Consumers, all items, not seasonally '
    "adjusted, rose {words} over the twelve months to {month}, as first published by the Bureau of Labor Statistics. "
    'Otherwise, this market will resolve to "No".\n\nThe figure is taken with the one decimal the BLS prints; later '
    "revisions are not considered. If the report has not been published by {limit}, this market resolves by the "
    "report of the previous month.\n\nThe resolution source is the BLS news release (https://www.bls.gov/news.release/cpi.nr0.htm)."
)


def draft(book: Draft) -> None:
    """Add the economics markets."""
    for number, offset, mean in ((1, 19, -14.0), (2, 68, -9.0)):
        _fed_meeting(book, number, offset, mean)
    _fed_cuts(book)
    _cpi(book)
    _core_cpi(book)
    _jobs(book)
    _gdp(book)
    _recession(book)
    _gasoline(book)


def _fed_meeting(book: Draft, number: int, offset: int, mean: float) -> None:
    month, code = day(offset, "%B"), day(offset, "%y%b")
    fact = book.fact(f"fed-{number}", "scalar", mean=mean, sd=14.0, step="25", volatility=0.6)
    rate = book.kalshi_event("KXFED", code, f"Fed funds rate after the {month} meeting", "Economics")
    for change, level in ((-50, "3.25"), (-25, "3.50"), (0, "3.75"), (25, "4.00")):
        book.kalshi(
            rate,
            f"T{level}",
            f"Will the upper bound of the federal funds rate be above {level}% following the Fed's {day(offset)} meeting?",
            f"If the upper bound of the target federal funds rate published on the Federal Reserve's official website is greater than {level}% following the {day(offset)} meeting, then the market resolves to Yes.",
            offset,
            settles(fact, "gt", change),
            yes=f"Above {level}%",
            subtitle=f"Above {level}%",
            hour=19,
            rules2="The upper bound before the meeting is 3.75%.",
            strike={"type": "greater", "floor": level},
        )
    decision = book.kalshi_event("KXFEDDECISION", code, f"Fed decision in {month}?", "Economics", exclusive=True)
    kalshi_words = {
        "C26": ("Cut >25bps", "le", -50),
        "C25": ("Cut 25bps", "between", [-25, -25]),
        "H0": ("Fed maintains rate", "between", [0, 0]),
        "H25": ("Hike 25bps", "between", [25, 25]),
        "H26": ("Hike >25bps", "ge", 50),
    }
    tickers = {}
    for suffix, (label, op, value) in kalshi_words.items():
        words = label.replace("Fed maintains rate", "Hike 0bps")
        tickers[suffix] = book.kalshi(
            decision,
            suffix,
            f"Will the Federal Reserve {words} at their {day(offset, '%B %Y')} meeting?",
            f"If the Federal Reserve does a {words} at its meeting scheduled for {day(offset)}, then the market resolves to Yes.",
            offset,
            settles(fact, op, value),
            yes=label,
            subtitle=label,
            hour=19,
        )
    event = book.poly_event(
        f"Fed decision in {month}?", "Economics", neg_risk=True, slug=f"fed-decision-in-{day(offset, '%Y-%m')}"
    )
    rules = _FED_P.format(month=day(offset, "%B %Y"), date=long_day(offset))
    rows = (
        (
            f"Fed decreases interest rates by 50+ bps after {day(offset, '%B %Y')} meeting?",
            "50+ bps decrease",
            "le",
            -50,
        ),
        (
            f"Fed decreases interest rates by 25 bps after {day(offset, '%B %Y')} meeting?",
            "25 bps decrease",
            "between",
            [-25, -25],
        ),
        (f"No change in Fed interest rates after {day(offset, '%B %Y')} meeting?", "No change", "between", [0, 0]),
        (
            f"Fed increases interest rates by 25+ bps after {day(offset, '%B %Y')} meeting?",
            "25+ bps increase",
            "ge",
            25,
        ),
    )
    for title, item, op, value in rows:
        slug = book.poly(event, title, rules, offset, settles(fact, op, value), item=item, hour=19)
    book.near(tickers["H25"], slug, "exactly 25 against 25 or more")


def _fed_cuts(book: Draft) -> None:
    year = "{{y1:%Y}}"
    fact = book.fact("fed-cuts", "scalar", mean=2.3, sd=1.3, step="1", volatility=0.5)
    event = book.kalshi_event(
        "KXRATECUTCOUNT", "{{y1:%y}}DEC31", f"Number of rate cuts in {year}?", "Economics", exclusive=True
    )
    poly = book.poly_event(f"How many Fed rate cuts in {year}?", "Economics", neg_risk=True)
    for cuts in range(6):
        op, value = ("between", [cuts, cuts]) if cuts < 5 else ("ge", 5)
        amount = "no cuts" if cuts == 0 else f"{cuts} cuts" if cuts < 5 else "5 or more cuts"
        book.kalshi(
            event,
            f"T{cuts}",
            f"Will the Fed cut rates {cuts}{' or more' if cuts == 5 else ''} times in {year}?",
            f"If the Federal Reserve makes {'exactly ' if cuts < 5 else ''}{amount} of the target federal funds rate in {year}, then the market resolves to Yes.",
            400,
            settles(fact, op, value),
            yes=amount.capitalize(),
            subtitle=amount.capitalize(),
            rules2="Each 25 basis points of a decrease count as one cut. Cuts at emergency meetings are included.",
        )
        name = "no" if cuts == 0 else str(cuts) if cuts < 5 else "5 or more"
        book.poly(
            poly,
            f"Will {name} Fed rate cut{'' if cuts == 1 else 's'} happen in {year}?",
            f"This market will resolve according to the total amount by which the Federal Reserve lowers the upper bound of the target federal funds range during {year}, counted in cuts of 25 basis points, including cuts made between scheduled meetings.\n\nA single cut of 50 basis points counts as two cuts. Increases do not cancel earlier cuts.\n\nThe resolution source is the Federal Reserve's statements.",
            400,
            settles(fact, op, value),
            item=name,
        )


def _cpi(book: Draft) -> None:
    fact = book.fact("cpi-yoy", "scalar", mean=2.86, sd=0.13, step="0.1")
    month = "{{m-1:%B %Y}}"
    event = book.kalshi_event("KXCPIYOY", "{{m-1:%y%b}}", f"CPI year-over-year in {month}?", "Economics")
    tickers = {}
    for strike in ("2.5", "2.6", "2.7", "2.8", "2.9", "3.0"):
        tickers[strike] = book.kalshi(
            event,
            f"T{strike}",
            f"Will the rate of CPI inflation be above {strike}% for the year ending in {month}?",
            f"If the year-over-year change in the Consumer Price Index for {month}, rounded to one decimal, is above {strike}%, then the market resolves to Yes.",
            21,
            settles(fact, "gt", strike),
            yes=f"Above {strike}%",
            strike={"type": "greater", "floor": strike},
            rules2="Uses the not seasonally adjusted CPI-U (all items) in the initial BLS release; revisions after expiration are not accounted for.",
        )
    poly = book.poly_event("{{m-1:%B}} inflation: US annual CPI", "Economics", slug="us-annual-inflation-{{m-1:%Y-%m}}")
    rows = (
        ("2.6% or less", "le", "2.6"),
        ("2.7% or more", "ge", "2.7"),
        ("2.8% or more", "ge", "2.8"),
        ("2.9% or more", "ge", "2.9"),
        ("3.0% or more", "ge", "3.0"),
        ("3.1% or more", "ge", "3.1"),
    )
    for words, op, value in rows:
        slug = book.poly(
            poly,
            f"Will annual inflation be {words} in {{{{m-1:%B}}}}?",
            _CPI_P.format(words=words, month=month, limit=long_day(45)),
            21,
            settles(fact, op, value),
            item=words,
            slug=f"annual-inflation-{words.split('%')[0].replace('.', 'pt')}-{op}-{{{{m-1:%Y-%m}}}}",
        )
        if op == "ge" and value in tickers:
            book.near(tickers[value], slug, f"above {value}% against {value}% or more")


def _core_cpi(book: Draft) -> None:
    core = book.fact("cpi-core-mom", "scalar", mean=0.27, sd=0.08, step="0.1")
    headline = book.fact("cpi-mom", "scalar", mean=0.21, sd=0.10, step="0.1", parent=core, coupling=0.6)
    month = "{{m-1:%B %Y}}"
    event = book.kalshi_event("KXCPICORE", "{{m-1:%y%b}}", f"CPI core in {month}?", "Economics")
    poly = book.poly_event("{{m-1:%B}} monthly CPI", "Economics", slug="monthly-cpi-{{m-1:%Y-%m}}")
    for strike in ("0.0", "0.1", "0.2", "0.3"):
        ticker = book.kalshi(
            event,
            f"T{strike}",
            f"Will CPI core rise more than {strike}% in {month}?",
            f"If CPI core (all items less food and energy) increases by more than {strike}% from the month before in {month}, then the market resolves to Yes.",
            21,
            settles(core, "gt", strike),
            yes=f"Above {strike}%",
            strike={"type": "greater", "floor": strike},
        )
        slug = book.poly(
            poly,
            f"Will CPI rise more than {strike}% in {{{{m-1:%B}}}}?",
            f'This market will resolve to "Yes" if the seasonally adjusted CPI-U for all items (headline inflation) increased by more than {strike}% in {month} against the month before, as published by the Bureau of Labor Statistics. Otherwise, this market will resolve to "No".\n\nThe figure excluding food and energy is not considered.',
            21,
            settles(headline, "gt", strike),
            item=f">{strike}%",
            slug=f"monthly-cpi-above-{strike.replace('.', 'pt')}-{{{{m-1:%Y-%m}}}}",
        )
        book.near(ticker, slug, "core CPI against headline CPI")


def _jobs(book: Draft) -> None:
    fact = book.fact("payrolls", "scalar", mean=74_000, sd=52_000, step="1000")
    rate = book.fact("unemployment", "scalar", mean=4.42, sd=0.11, step="0.1", parent=fact, coupling=-0.3)
    month = "{{m0:%B %Y}}"
    event = book.kalshi_event("KXPAYROLLS", "{{m0:%y%b}}", f"Jobs numbers in {month}?", "Economics")
    poly = book.poly_event("How many jobs added in {{m0:%B}}?", "Economics", slug="how-many-jobs-added-{{m0:%Y-%m}}")
    for strike in (0, 50_000, 100_000, 150_000):
        book.kalshi(
            event,
            f"T{strike}",
            f"Will above {strike} jobs be added in {month}?",
            f"If the increase in total nonfarm payroll employment in {month} is above {strike}, according to the Employment Situation report, then the market resolves to Yes.",
            16,
            settles(fact, "gt", strike),
            yes=f"Above {strike:,}",
            strike={"type": "greater", "floor": str(strike)},
            hour=13,
        )
        book.poly(
            poly,
            f"Will the US add more than {strike // 1000}k jobs in {{{{m0:%B}}}}?",
            f'This market will resolve to "Yes" if the BLS Employment Situation for {month} states a change in total nonfarm payroll employment of more than {strike:,}. Otherwise it will resolve to "No".\n\nOnly the first published, seasonally adjusted figure is considered; revisions in later reports do not count.',
            16,
            settles(fact, "gt", strike),
            item=f">{strike // 1000}k",
            hour=13,
            slug=f"us-jobs-above-{strike // 1000}k-{{{{m0:%Y-%m}}}}",
        )
    event = book.kalshi_event("KXU3", "{{m0:%y%b}}", f"Unemployment rate in {month}?", "Economics")
    poly = book.poly_event(
        "{{m0:%B}} unemployment rate?", "Economics", neg_risk=True, slug="unemployment-rate-{{m0:%Y-%m}}"
    )
    for level in ("4.2", "4.3", "4.4", "4.5"):
        book.kalshi(
            event,
            f"T{level}",
            f"Will the unemployment rate (U-3) be above {level}% in {month}?",
            f"If the U-3 unemployment rate published for {month} is above {level}%, then the market resolves to Yes.",
            16,
            settles(rate, "gt", level),
            yes=f"Above {level}%",
            strike={"type": "greater", "floor": level},
            hour=13,
        )
    for words, op, value in (
        ("4.2% or lower", "le", "4.2"),
        ("4.3%", "between", ["4.3", "4.3"]),
        ("4.4%", "between", ["4.4", "4.4"]),
        ("4.5%", "between", ["4.5", "4.5"]),
        ("4.6% or higher", "ge", "4.6"),
    ):
        book.poly(
            poly,
            f"Will the {{{{m0:%B}}}} {{{{m0:%Y}}}} unemployment rate be {words}?",
            f'This market will resolve to "Yes" if the seasonally adjusted U-3 unemployment rate for {month} is {words}, with the decimal printed in the BLS Employment Situation. Otherwise it will resolve to "No". Revisions are not considered.',
            16,
            settles(rate, op, value),
            item=words,
            hour=13,
        )


def _gdp(book: Draft) -> None:
    advance = book.fact("gdp-advance", "scalar", mean=1.9, sd=0.7, step="0.1")
    final = book.fact("gdp-third", "scalar", mean=2.0, sd=0.8, step="0.1", parent=advance, coupling=0.8)
    event = book.kalshi_event("KXGDP", "{{m2:%y%b}}30", "US GDP growth this quarter?", "Economics")
    poly = book.poly_event("US GDP growth in the current quarter (advance estimate)?", "Economics")
    third = book.poly_event("US GDP growth in the current quarter (third estimate)?", "Economics")
    for strike in ("1.0", "1.5", "2.0", "2.5"):
        ticker = book.kalshi(
            event,
            f"T{strike}",
            f"Will real GDP increase by more than {strike}% in the quarter ending {{{{m1:%b %Y}}}}?",
            f"If real GDP, per the advance estimate of the Bureau of Economic Analysis, increases by more than {strike}% (seasonally adjusted annual rate) in that quarter, then the market resolves to Yes.",
            70,
            settles(advance, "gt", strike),
            yes=f"Above {strike}%",
            strike={"type": "greater", "floor": strike},
        )
        book.poly(
            poly,
            f"US GDP growth above {strike}% in the quarter ending {{{{m1:%B %Y}}}}? (advance)",
            f'Resolves to "Yes" if the annualised quarterly growth of real GDP in the BEA\'s advance (first) estimate is greater than {strike}%. Otherwise resolves to "No". The second and third estimates are not considered.',
            70,
            settles(advance, "gt", strike),
            item=f">{strike}%",
        )
        if strike in ("1.5", "2.0"):
            slug = book.poly(
                third,
                f"US GDP growth above {strike}% in the quarter ending {{{{m1:%B %Y}}}}?",
                f'Resolves to "Yes" if the annualised quarterly growth of real GDP in the BEA\'s third estimate is greater than {strike}%. Otherwise resolves to "No". Earlier estimates of the same quarter do not decide this market.',
                125,
                settles(final, "gt", strike),
                item=f">{strike}%",
            )
            book.near(ticker, slug, "advance estimate against third estimate")


def _recession(book: Draft) -> None:
    technical = book.fact("recession-quarters", "binary", p=0.17)
    declared = book.fact("recession-nber", "binary", p=0.09, parent=technical, coupling=0.5)
    year = "{{y1:%Y}}"
    event = book.kalshi_event("KXRECSSNBER", "{{y1:%y}}", f"Recession in {year}?", "Economics")
    ticker = book.kalshi(
        event,
        "",
        f"Will there be a recession in {year}?",
        f"If there are two consecutive quarters of negative real GDP growth between Q4 of the year before and Q4 {year}, then the market resolves to Yes.",
        430,
        settles(technical),
    )
    poly = book.poly_event(f"US recession by end of {year}?", "Economics")
    book.poly(
        poly,
        f"US recession by end of {year}?",
        f'This market will resolve to "Yes" if the BEA\'s advance estimates show negative annualised real GDP growth in two quarters in a row, the later of them being a quarter of {year}. Otherwise it will resolve to "No".\n\nAn announcement by the NBER is neither needed nor enough.',
        430,
        settles(technical),
    )
    other = book.poly_event(f"Will the NBER declare a US recession in {year}?", "Economics")
    slug = book.poly(
        other,
        f"Recession declared in {year}?",
        f'This market will resolve to "Yes" if the NBER\'s Business Cycle Dating Committee announces in {year} that a peak in US economic activity has occurred. Otherwise it will resolve to "No". Two quarters of falling GDP without such an announcement do not suffice.',
        420,
        settles(declared),
    )
    book.near(ticker, slug, "two negative quarters against an announcement by the NBER")


def _gasoline(book: Draft) -> None:
    final = book.fact("gas-at-end", "scalar", mean=3.07, sd=0.09, step="0.001")
    peak = book.fact("gas-touch", "scalar", mean=3.16, sd=0.08, step="0.001", parent=final, coupling=0.8)
    event = book.kalshi_event("KXAAAGASM", ticker_month := "{{d24:%y%b%d}}", "US gas prices this month?", "Economics")
    poly = book.poly_event(
        f"What will gas prices hit by {day(24, '%B %-d')}?", "Economics", slug=f"gas-hit-{ticker_month}".lower()
    )
    for strike in ("3.00", "3.10", "3.20"):
        ticker = book.kalshi(
            event,
            f"{strike}",
            f"Will average gas prices be above ${strike} on {day(24)}?",
            f"If the national average price of regular gasoline reported by AAA for {day(24)} is greater than ${strike}, then the market resolves to Yes.",
            24,
            settles(final, "gt", strike),
            yes=f"Above ${strike}",
            strike={"type": "greater", "floor": strike},
        )
        slug = book.poly(
            poly,
            f"Will gas hit ${strike} by {day(24, '%B %-d')}?",
            f'This market will resolve to "Yes" if AAA\'s national average for regular gasoline is ${strike} or higher on any day from the creation of this market through {long_day(24)}. Otherwise it will resolve to "No". One day at or above the level is enough. {CREDIBLE}',
            24,
            settles(peak, "ge", strike),
            item=f"${strike}",
            slug=f"gas-hit-{strike.replace('.', 'pt')}-by-{{{{d24}}}}",
        )
        book.near(ticker, slug, "price on the last day against highest price on any day")
