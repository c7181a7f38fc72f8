"""Politics: chambers, seats, nominees and winners, states, offices, bills. Persons are invented."""

from __future__ import annotations

from streams.sandbox.catalogue.bundled.draft import CREDIBLE, Draft, day, long_day, settles, shares

_DEMOCRATS = (
    "Andrea Whitlock",
    "Marcus Bellamy",
    "Joanna Reyes-Cole",
    "Peter Vandermeer",
    "Simone Achterberg",
    "David Okonjo",
    "Laura Penhallow",
    "Theodore Marsh",
)
_REPUBLICANS = (
    "Graham Sutherlin",
    "Rebecca Thornbury",
    "Caleb Montrose",
    "Victor Halloran",
    "Elaine Prescott",
    "Nathan Quill",
    "Wesley Hartigan",
    "Diane Oakhurst",
)
_STATES = (
    ("AZ", "Arizona", 0.47),
    ("GA", "Georgia", 0.44),
    ("MI", "Michigan", 0.57),
    ("NV", "Nevada", 0.42),
    ("PA", "Pennsylvania", 0.66),
    ("WI", "Wisconsin", 0.53),
)
_OFFICES = (
    ("Harold Brennan", "Secretary of Defense", "KXBRENNANOUT"),
    ("Monica Strand", "Attorney General", "KXSTRANDOUT"),
    ("Philip Dacosta", "Secretary of Homeland Security", "KXDACOSTAOUT"),
)
_BILLS = (
    ("KXSHIELDACT", "Digital Shield Act"),
    ("KXFARMBILL", "Farm and Rural Security Act"),
    ("KXSPECTRUM", "Spectrum Modernization Act"),
)
_ELECTION = "{{y2:%Y}}"


def draft(book: Draft) -> None:
    """Add the politics markets."""
    _chambers(book)
    _seats(book)
    nominees = _nominees(book)
    _winner(book, nominees)
    _states(book)
    _offices(book)
    _bills(book)
    _prime_ministers(book)


def _chambers(book: Draft) -> None:
    for code, chamber, chance in (("H", "House", 0.74), ("S", "Senate", 0.36)):
        fact = book.fact(
            f"control-{chamber.lower()}",
            "categorical",
            options={"D": chance, "R": round(1 - chance, 4)},
            volatility=0.6,
        )
        event = book.kalshi_event(
            f"CONTROL{code}", _ELECTION, f"Which party will win the {chamber}?", "Politics", exclusive=True
        )
        poly = book.poly_event(f"Which party will win the {chamber} in {_ELECTION}?", "Politics", neg_risk=True)
        for party, adjective in (("D", "Democratic"), ("R", "Republican")):
            book.kalshi(
                event,
                party,
                f"Will {'Democrats' if party == 'D' else 'Republicans'} win the {chamber} in {_ELECTION}?",
                f"If the {adjective} Party has won control of the {chamber} in {_ELECTION}, then the market resolves to Yes.",
                700,
                settles(fact, "in", [party]),
                yes=f"{adjective} Party",
                rules2=f"Control is determined by the party of the {'Speaker' if code == 'H' else 'majority leader'} on February 1 of the year after.",
            )
            book.poly(
                poly,
                f"Will the {adjective} Party control the {chamber} after the {_ELECTION} elections?",
                f"This market will resolve according to the party that controls the {chamber} following the U.S. elections of November {_ELECTION}. {chamber} control means {'more than half of the voting members' if code == 'H' else 'a majority of senators, or half of them and the Vice President'}.\n\nIf that is ambiguous, the market stays open until a {'Speaker' if code == 'H' else 'majority leader'} has been chosen and resolves to the party of that person. {CREDIBLE}",
                690,
                settles(fact, "in", [party]),
                item=adjective,
            )


def _seats(book: Draft) -> None:
    fact = book.fact(
        "seats-house-r", "scalar", mean=208, sd=9, step="1", parent="control-house", coupling=-0.5, volatility=0.6
    )
    event = book.kalshi_event("KXHOUSESEATS", _ELECTION, f"Republican House seats after {_ELECTION}?", "Politics")
    poly = book.poly_event(f"How many House seats will Republicans win in {_ELECTION}?", "Politics")
    for seats in (195, 200, 205, 210, 215, 220):
        ticker = book.kalshi(
            event,
            f"T{seats}",
            f"Will Republicans win at least {seats} seats in the House?",
            f"If the Republican Party wins at least {seats} seats in the House of Representatives in the {_ELECTION} elections, then the market resolves to Yes.",
            720,
            settles(fact, "ge", seats),
            yes=f"At least {seats}",
            strike={"type": "greater_or_equal", "floor": str(seats)},
        )
        is_same = seats % 10 == 0
        words = f"{seats} or more" if is_same else f"more than {seats}"
        slug = book.poly(
            poly,
            f"Will Republicans win {words} House seats in {_ELECTION}?",
            f'This market will resolve to "Yes" if the Republican Party wins {words} of the 435 seats of the U.S. House of Representatives in the {_ELECTION} elections, special elections on the same day excluded. Otherwise, this market will resolve to "No".\n\nSeats still open on {long_day(760)} are not counted for any party. {CREDIBLE}',
            700,
            settles(fact, "ge" if is_same else "gt", seats),
            item=words,
            slug=f"republicans-{seats}-{'or-more' if is_same else 'plus'}-house-seats-{_ELECTION}",
        )
        if not is_same:
            book.near(ticker, slug, f"at least {seats} against more than {seats}")


def _nominees(book: Draft) -> dict[str, str]:
    tickers: dict[str, str] = {}
    for code, party, names in (("D", "Democratic", _DEMOCRATS), ("R", "Republican", _REPUBLICANS)):
        weights = {name: 10.0 / (rank + 2) for rank, name in enumerate(names)}
        fact = book.fact(
            f"nominee-{code.lower()}", "categorical", options=shares({**weights, "other": 3.0}), volatility=0.6
        )
        event = book.kalshi_event(
            f"KXPRESNOM{code}", "28", f"{party} Presidential nominee?", "Politics", exclusive=True
        )
        poly = book.poly_event(f"{party} Presidential Nominee in the next election", "Politics", neg_risk=True)
        for name in names:
            first, last = name.split()
            tickers[name] = book.kalshi(
                event,
                f"{first[0]}{last[:4]}",
                f"Will {name} be the {party} Presidential nominee?",
                f"If {name} wins the nomination for the {party} Party to contest the next Presidential election, then the market resolves to Yes.",
                900,
                settles(fact, "in", [name]),
                yes=name,
            )
            book.poly(
                poly,
                f"Will {name} win the next {party} presidential nomination?",
                f'This market will resolve to "Yes" if {name} wins and accepts the nomination of the {party} Party for the next U.S. presidential election. Otherwise, this market will resolve to "No".\n\nThe resolution source is a consensus of official {party} Party sources. A replacement of the nominee before election day does not change the resolution.',
                880,
                settles(fact, "in", [name]),
                item=name,
            )
    return tickers


def _winner(book: Draft, nominees: dict[str, str]) -> None:
    names = (*_DEMOCRATS[:5], *_REPUBLICANS[:5])
    fact = book.fact(
        "president",
        "categorical",
        options=shares({**{name: 6.0 / (rank % 5 + 2) for rank, name in enumerate(names)}, "other": 5.0}),
        volatility=0.5,
    )
    event = book.kalshi_event("KXPRESPERSON", "28", "Next US Presidential Election Winner?", "Politics", exclusive=True)
    poly = book.poly_event("Next Presidential Election Winner", "Politics", neg_risk=True)
    for name in names:
        first, last = name.split()
        book.kalshi(
            event,
            f"{first[0]}{last[:4]}",
            f"Will {name} win the next presidential election?",
            f"If {name} is the next person inaugurated as President after the next Presidential election, then the market resolves to Yes.",
            980,
            settles(fact, "in", [name]),
            yes=name,
        )
        slug = book.poly(
            poly,
            f"Will {name} win the next US Presidential Election?",
            f'This market will resolve to "Yes" if {name} wins the next U.S. Presidential Election. Otherwise, this market will resolve to "No".\n\nThe resolution source is the Associated Press, Fox News and NBC: the market resolves once all three have called the race for the same candidate. If they have not by the day of the inauguration, it resolves by who is inaugurated.',
            960,
            settles(fact, "in", [name]),
            item=name,
        )
        book.near(nominees[name], slug, "nominee against winner of the election")


def _states(book: Draft) -> None:
    for code, state, chance in _STATES:
        fact = book.fact(
            f"gov-{code.lower()}",
            "categorical",
            options={"D": chance, "R": round(1 - chance, 4)},
            parent="control-house",
            coupling=0.4,
            volatility=0.7,
        )
        event = book.kalshi_event(
            f"GOVPARTY{code}", _ELECTION, f"{state} Governorship winner?", "Politics", exclusive=True
        )
        poly = book.poly_event(f"{state} Governor Election Winner", "Politics", neg_risk=True)
        for party, adjective in (("D", "Democratic"), ("R", "Republican")):
            book.kalshi(
                event,
                party,
                f"Will {adjective}s win the governorship in {state}?".replace("Democratics", "Democrats"),
                f"If a representative of the {adjective} Party is inaugurated as the governor of {state} pursuant to the {_ELECTION} election, then the market resolves to Yes.",
                740,
                settles(fact, "in", [party]),
                yes=f"{adjective} party",
            )
            book.poly(
                poly,
                f"Will the {adjective}s win the {state} governor race in {_ELECTION}?".replace(
                    "Democratics", "Democrats"
                ),
                f'This market will resolve to "Yes" if the candidate of the {adjective} Party wins the {_ELECTION} gubernatorial election in {state}. Otherwise, this market will resolve to "No".\n\nA candidate\'s party is the one of the ballot line. The market resolves when the Associated Press, Fox News and NBC agree on the winner, or else on official certification.',
                705,
                settles(fact, "in", [party]),
                item=adjective,
            )


def _offices(book: Draft) -> None:
    for name, office, series in _OFFICES:
        last = name.split()[1]
        leave = book.fact(f"out-{last.lower()}", "scalar", mean=95, sd=70, step="1", volatility=0.8)
        said = book.fact(
            f"out-{last.lower()}-said", "scalar", mean=78, sd=70, step="1", parent=leave, coupling=0.8, volatility=0.8
        )
        event = book.kalshi_event(series, "", f"When will {name} leave?", "Politics")
        poly = book.poly_event(f"{name} out as {office} by...?", "Politics")
        for offset in (30, 60, 120):
            ticker = book.kalshi(
                event,
                day(offset, "%y%b%d"),
                f"Will {name} leave {office} before {day(offset)}?",
                f"If {name} leaves as {office} before {day(offset)}, then the market resolves to Yes.",
                offset,
                settles(leave, "lt", offset),
                yes=f"Before {day(offset)}",
                hour=5,
                rules2=f"{name} must have an actual departure date and vacate the role within the time period. An announcement that takes effect later does not suffice. Leaves of absence do not count.",
            )
            if offset != 60:
                book.poly(
                    poly,
                    f"{name} out as {office} by {day(offset - 1, '%B %-d')}?",
                    f'This market will resolve to "Yes" if {name} ceases to be {office} for any length of time by {long_day(offset - 1)}, 11:59 PM ET. Otherwise, this market will resolve to "No".\n\nAn announcement of a departure that is not yet effective by that time will not count. {CREDIBLE}',
                    offset,
                    settles(leave, "le", offset - 1),
                    item=day(offset - 1, "%B %-d"),
                )
                continue
            slug = book.poly(
                poly,
                f"{name} announces departure as {office} by {day(offset - 1, '%B %-d')}?",
                f'This market will resolve to "Yes" if it is announced by {long_day(offset - 1)}, 11:59 PM ET, that {name} will resign, has been dismissed or will otherwise leave as {office}. Otherwise, this market will resolve to "No".\n\nAn announcement is enough for an immediate "Yes", whenever the departure takes effect. {CREDIBLE}',
                offset,
                settles(said, "le", offset - 1),
                item=day(offset - 1, "%B %-d"),
            )
            book.near(ticker, slug, "leaves office against departure announced")


def _bills(book: Draft) -> None:
    for number, (series, name) in enumerate(_BILLS):
        law = book.fact(f"law-{number}", "scalar", mean=110 + 25 * number, sd=60, step="1", volatility=0.7)
        house = book.fact(
            f"house-{number}",
            "scalar",
            mean=70 + 25 * number,
            sd=55,
            step="1",
            parent=law,
            coupling=0.7,
            volatility=0.7,
        )
        event = book.kalshi_event(series, "", f"Will the {name} become law?", "Politics")
        for offset in (60, 120):
            ticker = book.kalshi(
                event,
                day(offset, "%y%b%d"),
                f"Will the {name} become law before {day(offset)}?",
                f"If the {name} becomes law before {day(offset)}, then the market resolves to Yes.",
                offset,
                settles(law, "lt", offset),
                rules2="A bill becomes law when it is signed, when a veto is overridden, or when ten days pass without signature while Congress sits. A bill that carries its text as a part of it qualifies.",
            )
            if offset == 120:
                poly = book.poly_event(f"{name} signed into law by {day(offset - 1, '%B %-d')}?", "Politics")
                book.poly(
                    poly,
                    f"{name} enacted by {day(offset - 1, '%B %-d')}?",
                    f'This market will resolve to "Yes" if the {name} is enacted into federal law by {long_day(offset - 1)}, 11:59 PM ET, be it by signature, by passing over a veto, or without signature. Otherwise, this market will resolve to "No". {CREDIBLE}',
                    offset,
                    settles(law, "le", offset - 1),
                )
                continue
            poly = book.poly_event(f"Will the {name} pass the House by {day(offset - 1, '%B %-d')}?", "Politics")
            slug = book.poly(
                poly,
                f"Will the {name} pass by {day(offset - 1, '%B %-d')}?",
                f'This market will resolve to "Yes" if the {name} is passed by the House of Representatives by {long_day(offset - 1)}, 11:59 PM ET. Otherwise, this market will resolve to "No".\n\nPassage by the Senate and the President\'s signature are not needed. {CREDIBLE}',
                offset,
                settles(house, "le", offset - 1),
            )
            book.near(ticker, slug, "becomes law against passes the House")


def _prime_ministers(book: Draft) -> None:
    elections = (
        (
            "NLD",
            "Netherlands",
            "Prime Minister of the Netherlands",
            ("Willem Hoekveld", "Sanne Terpstra", "Joris Kampman"),
            ("PVN", "CDB", "GLA"),
        ),
        (
            "DNK",
            "Denmark",
            "Prime Minister of Denmark",
            ("Lars Holmgaard", "Mette Kirkeby", "Anders Rosendal"),
            ("SDP", "VEN", "LIB"),
        ),
    )
    for code, country, office, names, parties in elections:
        person = book.fact(
            f"pm-{code.lower()}",
            "categorical",
            options=shares({names[0]: 5.0, names[1]: 3.2, names[2]: 1.4, "other": 0.8}),
            volatility=0.8,
        )
        party = book.fact(
            f"seats-{code.lower()}",
            "categorical",
            options=shares({parties[0]: 5.5, parties[1]: 3.0, parties[2]: 1.2, "other": 0.5}),
            volatility=0.8,
        )
        event = book.kalshi_event(f"KXNEXTPM{code}", "", f"Next {office}?", "Politics", exclusive=True)
        poly = book.poly_event(f"Next {office}", "Politics", neg_risk=True)
        most = book.poly_event(f"Which party wins the most seats in the {country} election?", "Politics", neg_risk=True)
        for name, short in zip(names, parties, strict=True):
            ticker = book.kalshi(
                event,
                name.split()[1][:4],
                f"Will {name} be the next {office}?",
                f"If {name} is the next person to be appointed as {office} before {day(300)}, then the market resolves to Yes.",
                300,
                settles(person, "in", [name]),
                yes=name,
                rules2="Acting or caretaker holders of the office do not count.",
            )
            book.poly(
                poly,
                f"Will {name} become the next {office}?",
                f'This market will resolve to "Yes" if {name} is the next individual to be officially appointed {office}. Otherwise, this market will resolve to "No". Any interim or caretaker appointment will not count.\n\nIf nobody has been appointed by {long_day(299)}, 11:59 PM ET, all names resolve to "No".',
                299,
                settles(person, "in", [name]),
                item=name,
            )
            slug = book.poly(
                most,
                f"Will {short}, the party of {name}, win the most seats in the {country} election?",
                f'This market will resolve to "Yes" if {short} wins more seats than any other party in the next parliamentary election in the {country}. Otherwise, this market will resolve to "No". Who forms the government or becomes {office} does not matter.',
                240,
                settles(party, "in", [short]),
                item=short,
            )
            book.near(ticker, slug, "head of government against largest party")
