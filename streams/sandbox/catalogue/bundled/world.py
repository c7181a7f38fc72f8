"""World events, where Polymarket charges no fee: ceasefires, meetings, crossings that open, recognitions."""

from __future__ import annotations

from streams.sandbox.catalogue.bundled.draft import CREDIBLE, Draft, day, long_day, settles

_MEETINGS = (
    ("KXMEETAB", "the presidents of Armenia and Azerbaijan", 40),
    ("KXMEETGT", "the prime ministers of Greece and Turkey", 55),
    ("KXMEETIP", "the prime ministers of India and Pakistan", 120),
)
_OPENINGS = (
    ("KXSTRAIT", "the Kerch Strait", "commercial shipping through the Kerch Strait resume", "s", 75),
    (
        "KXBORDER",
        "the Armenia-Turkey border",
        "citizens of third countries cross the Armenia-Turkey land border",
        "",
        90,
    ),
    (
        "KXFLIGHTS",
        "direct flights between Washington and Minsk",
        "a direct scheduled flight from Washington to Minsk land",
        "s",
        110,
    ),
)


def draft(book: Draft) -> None:
    """Add the world-event markets."""
    _ceasefire(book)
    _meetings(book)
    _openings(book)
    _recognition(book)


def _ceasefire(book: Draft) -> None:
    for code, sides, mean in (
        ("SUD", "Sudan's army and the RSF", 85),
        ("MYA", "Myanmar's army and the Arakan Army", 100),
    ):
        effect = book.fact(f"ceasefire-{code.lower()}", "scalar", mean=mean, sd=60, step="1")
        announced = book.fact(
            f"ceasefire-{code.lower()}-said", "scalar", mean=mean - 16, sd=60, step="1", parent=effect, coupling=0.8
        )
        event = book.kalshi_event(f"KXCEASEFIRE{code}", "", f"Ceasefire between {sides}?", "World")
        poly = book.poly_event(f"Ceasefire between {sides} by...?", "Geopolitics")
        for offset in (31, 62, 124):
            ticker = book.kalshi(
                event,
                day(offset, "%y%b%d"),
                f"Will a ceasefire between {sides} take effect before {day(offset)}?",
                f"If a ceasefire between {sides} takes effect before {day(offset)}, then the market resolves to Yes.",
                offset,
                settles(effect, "lt", offset),
                yes=f"Before {day(offset)}",
                hour=5,
                rules2="The ceasefire must be publicly agreed by both sides and be in force. An agreement whose start lies after the date does not qualify.",
            )
            is_same = offset != 62
            deed, fact = ("in effect", effect) if is_same else ("announced", announced)
            words = (
                "has come into force; an announcement alone is not enough"
                if is_same
                else "has been announced by both sides, whether or not it is in force yet"
            )
            slug = book.poly(
                poly,
                f"{sides}: ceasefire {deed} by {day(offset - 1, '%B %-d')}?",
                f'This market will resolve to "Yes" if, by {long_day(offset - 1)}, 11:59 PM ET, a mutually agreed halt of military engagement between {sides} {words}. Otherwise, this market will resolve to "No".\n\nHumanitarian pauses and local truces do not count. {CREDIBLE}',
                offset,
                settles(fact, "le", offset - 1),
                item=day(offset - 1, "%B %-d"),
            )
            if not is_same:
                book.near(ticker, slug, "takes effect against announced")


def _meetings(book: Draft) -> None:
    for number, (series, who, mean) in enumerate(_MEETINGS):
        meet = book.fact(f"meeting-{number}", "scalar", mean=mean, sd=45, step="1")
        talk = book.fact(f"talk-{number}", "scalar", mean=mean * 0.7, sd=45, step="1", parent=meet, coupling=0.7)
        event = book.kalshi_event(series, "", f"Will {who} meet?", "World")
        poly = book.poly_event(f"Will {who} meet by...?", "Geopolitics")
        for offset in (31, 62, 92):
            ticker = book.kalshi(
                event,
                day(offset, "%y%b%d"),
                f"Will {who} meet in person before {day(offset)}?",
                f"If {who} meet in person before {day(offset)}, then the market resolves to Yes.",
                offset,
                settles(meet, "lt", offset),
                yes=f"Before {day(offset)}",
                hour=5,
                rules2="Both must be physically present at the same place and interact. Calls and video conferences do not count.",
            )
            if offset != 92:
                book.poly(
                    poly,
                    f"{who[0].upper()}{who[1:]} meet by {day(offset - 1, '%B %-d')}?",
                    f'This market will resolve to "Yes" if {who} meet face to face between the creation of this market and {long_day(offset - 1)}, 11:59 PM ET. Otherwise, this market will resolve to "No".\n\nA meeting is any encounter in which both are present in person and speak with each other. Virtual talks do not qualify. {CREDIBLE}',
                    offset,
                    settles(meet, "le", offset - 1),
                    item=day(offset - 1, "%B %-d"),
                )
                continue
            slug = book.poly(
                poly,
                f"Will {who} talk by {day(offset - 1, '%B %-d')}?",
                f'This market will resolve to "Yes" if {who} speak with each other, in person, by telephone or by video, by {long_day(offset - 1)}, 11:59 PM ET. Otherwise, this market will resolve to "No". {CREDIBLE}',
                offset,
                settles(talk, "le", offset - 1),
                item="talk",
            )
            book.near(ticker, slug, "meet in person against any talk")


def _openings(book: Draft) -> None:
    for number, (series, name, plain, ending, mean) in enumerate(_OPENINGS):
        deed = plain + ending
        fact = book.fact(f"opening-{number}", "scalar", mean=mean, sd=50, step="1")
        event = book.kalshi_event(series, "", f"When: {name}?", "World")
        poly = book.poly_event(f"When: {name}?", "Geopolitics", slug=f"when-opening-{number}")
        for offset, poly_offset in ((45, 44), (90, 104)):
            ticker = book.kalshi(
                event,
                day(offset, "%y%b%d"),
                f"Will {plain} before {day(offset)}?",
                f"If {deed} before {day(offset)}, then the market resolves to Yes.",
                offset,
                settles(fact, "lt", offset),
                yes=f"Before {day(offset)}",
                hour=5,
            )
            slug = book.poly(
                poly,
                f"{deed[0].upper()}{deed[1:]} by {day(poly_offset, '%B %-d')}?",
                f'This market will resolve to "Yes" if {deed} by {long_day(poly_offset)}, 11:59 PM ET. Otherwise, this market will resolve to "No".\n\nPlans, tests and announcements do not count. {CREDIBLE}',
                poly_offset + 1,
                settles(fact, "le", poly_offset),
                item=day(poly_offset, "%B %-d"),
            )
            if poly_offset != offset - 1:
                book.near(ticker, slug, "deadline two weeks later")


def _recognition(book: Draft) -> None:
    for number, country in enumerate(("Somaliland", "Kosovo", "Palestine")):
        fact = book.fact(f"recognition-{number}", "scalar", mean=3.0 + number, sd=1.6, step="1")
        event = book.kalshi_event(
            f"KXRECOG{country[:3].upper()}", "{{y1:%y}}", f"How many countries recognize {country}?", "World"
        )
        poly = book.poly_event(
            f"New recognitions of {country} by the end of {{{{y1:%Y}}}}?",
            "Geopolitics",
        )
        for strike in (2, 4):
            book.kalshi(
                event,
                str(strike),
                f"Will at least {strike} more countries recognize {country} before Jan 1, {{{{y2:%Y}}}}?",
                f"If at least {strike} UN member states that have not recognized {country} at issuance do so before Jan 1, {{{{y2:%Y}}}}, then the market resolves to Yes.",
                410,
                settles(fact, "ge", strike),
                yes=f"At least {strike}",
                strike={"type": "greater_or_equal", "floor": str(strike)},
            )
            book.poly(
                poly,
                f"Will {strike} or more countries newly recognize {country} by December 31, {{{{y1:%Y}}}}?",
                f'This market will resolve to "Yes" if {strike} or more member states of the United Nations recognize {country} for the first time between the creation of this market and December 31, {{{{y1:%Y}}}}, 11:59 PM ET. Otherwise, this market will resolve to "No". {CREDIBLE}',
                410,
                settles(fact, "ge", strike),
                item=f"{strike}+",
            )
