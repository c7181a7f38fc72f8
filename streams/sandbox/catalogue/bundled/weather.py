"""Weather: daily temperature brackets by city and station, rain in a month."""

from __future__ import annotations

from streams.sandbox.catalogue.bundled.draft import Draft, day, long_day, settles

_CITIES = (
    # Kalshi code, city, Kalshi station, Polymarket station, mean, day offset on each venue
    ("NY", "NYC", "Central Park, New York", "LaGuardia Airport", 51, 1, 1),
    ("CHI", "Chicago", "Chicago Midway", "Chicago O'Hare International Airport", 43, 1, 1),
    ("MIA", "Miami", "Miami International Airport", "Miami International Airport", 81, 1, 1),
    ("AUS", "Austin", "Austin Bergstrom", "Austin-Bergstrom International Airport", 72, 1, 1),
    ("DEN", "Denver", "Denver International Airport", "Denver International Airport", 49, 1, 2),
    ("LAX", "Los Angeles", "Los Angeles Airport", "Los Angeles International Airport", 68, 2, 2),
)
_POLY = (
    "This market will resolve to the temperature range that contains the highest temperature recorded at {station} "
    "({city}) in degrees Fahrenheit on {date}.\n\nThe resolution source is the National Weather Service's daily climate "
    "report for {station}, once the value for the whole day is final; the report states whole degrees, and that is the "
    "precision used. Readings of other stations in the same city are not considered.\n\nThis market cannot resolve "
    "before the data of that date have been finalised. Revisions afterwards are ignored."
)


def draft(book: Draft) -> None:
    """Add the weather markets."""
    for city in _CITIES:
        _highest_temperature(book, *city)
    _rain(book)


def _brackets(mean: int) -> list[tuple[str, str, object]]:
    low = mean - 4
    middle: list[tuple[str, str, object]] = [
        (f"{low + 2 * number}° to {low + 2 * number + 1}°", "between", [low + 2 * number, low + 2 * number + 1])
        for number in range(4)
    ]
    return [(f"{low - 1}° or below", "le", low - 1), *middle, (f"{low + 8}° or above", "ge", low + 8)]


def _highest_temperature(
    book: Draft, code: str, city: str, station: str, poly_station: str, mean: int, offset: int, poly_offset: int
) -> None:
    fact = book.fact(f"high-{code.lower()}", "scalar", mean=mean + 0.3, sd=2.6, step="1", volatility=1.3)
    is_same = code in ("MIA", "AUS", "LAX")
    other = fact
    if not is_same:
        other = book.fact(
            f"high-{code.lower()}-other",
            "scalar",
            mean=mean + 1.2,
            sd=2.7,
            step="1",
            parent=fact,
            coupling=0.8,
            volatility=1.3,
        )
    event = book.kalshi_event(
        f"KXHIGH{code}",
        day(offset, "%y%b%d"),
        f"Highest temperature in {city} on {day(offset)}?",
        "Climate and Weather",
        exclusive=True,
    )
    poly = book.poly_event(
        f"Highest temperature in {city} on {day(poly_offset, '%B %-d')}?",
        "Weather",
        neg_risk=True,
        slug=f"highest-temperature-{code.lower()}-{{{{d{poly_offset}}}}}",
    )
    rules = _POLY.format(station=poly_station, city=city, date=long_day(poly_offset))
    for number, (label, op, value) in enumerate(_brackets(mean)):
        words, strike, suffix = _kalshi_words(op, value)
        ticker = book.kalshi(
            event,
            suffix,
            f"Will the **high temp in {city}** be {words[0]} on {day(offset)}?",
            f"If the highest temperature recorded at {station} for {day(offset, '%B %d, %Y')} as reported by the National Weather Service's Climatological Report (Daily), is {words[1]}, then the market resolves to Yes.",
            offset + 1,
            settles(fact, op, value),
            yes=label,
            subtitle=label,
            hour=5,
            strike=strike,
            rules2="Weather apps and private services may show other values. Only the final NWS daily climatological report for the named station decides.",
        )
        name = label.replace(" to ", "-").replace("°", "") + "°F" if op == "between" else label.replace("°", "°F")
        slug = book.poly(
            poly,
            f"Will the highest temperature in {city} be {name.replace('-', ' and ') if op == 'between' else name} on {day(poly_offset, '%B %-d')}?".replace(
                "be ", "be between " if op == "between" else "be "
            ),
            rules,
            poly_offset,
            settles(other, op, value),
            item=name,
            hour=12,
            slug=f"high-temp-{code.lower()}-{{{{d{poly_offset}}}}}-{number}",
        )
        if not is_same:
            why = "different day" if offset != poly_offset else f"{station} against {poly_station}"
            book.near(ticker, slug, why)


def _kalshi_words(op: str, value: object) -> tuple[tuple[str, str], dict[str, str], str]:
    if isinstance(value, list):
        low, high = value
        strike = {"type": "between", "floor": str(low), "cap": str(high)}
        return (f"{low}-{high}°", f"between {low}-{high}°"), strike, f"B{low}.5"
    number = int(str(value))
    if op == "ge":
        return (
            (f">{number - 1}°", f"greater than {number - 1}°"),
            {"type": "greater", "floor": str(number - 1)},
            f"T{number - 1}",
        )
    return (f"<{number + 1}°", f"less than {number + 1}°"), {"type": "less", "cap": str(number + 1)}, f"T{number + 1}"


def _rain(book: Draft) -> None:
    for code, city, station, mean in (
        ("NYC", "NYC", "Central Park", 3.4),
        ("SEA", "Seattle", "Seattle-Tacoma Airport", 6.1),
    ):
        fact = book.fact(f"rain-{code.lower()}", "scalar", mean=mean, sd=0.9, step="0.01")
        event = book.kalshi_event(
            f"KXRAIN{code}M", "{{m1:%y%b}}", f"Rain in {city} in {{{{m1:%B %Y}}}}?", "Climate and Weather"
        )
        poly = book.poly_event(
            f"How much rain in {city} in {{{{m1:%B}}}}?", "Weather", slug=f"rain-{code.lower()}-{{{{m1:%Y-%m}}}}"
        )
        for strike in range(round(mean) - 1, round(mean) + 2):
            book.kalshi(
                event,
                str(strike),
                f"Will it rain more than {strike} inches in {city} in {{{{m1:%b %Y}}}}?",
                f"If the total precipitation at {station} for {{{{m1:%B %Y}}}} per the NWS Climatological Report (Monthly) is strictly greater than {strike} inches, then the market resolves to Yes.",
                45,
                settles(fact, "gt", strike),
                yes=f"Above {strike} inches",
                strike={"type": "greater", "floor": str(strike)},
            )
            book.poly(
                poly,
                f"Will {city} get more than {strike} inches of precipitation in {{{{m1:%B}}}}?",
                f'This market will resolve to "Yes" if the monthly climate report of the National Weather Service for {station} gives a total precipitation of more than {strike}.00 inches for {{{{m1:%B %Y}}}}. Otherwise, this market will resolve to "No".\n\nPreliminary daily values are not used once the monthly report is out.',
                45,
                settles(fact, "gt", strike),
                item=f'>{strike}"',
            )
