"""Sports: single games (one Kalshi market per team, one Polymarket market named by teams), titles, awards."""

from __future__ import annotations

from streams.sandbox.catalogue.bundled.draft import CREDIBLE, Draft, day, long_day, settles, shares, slug_of

# (code, Kalshi's place name, nickname)
_NBA = (
    ("LAL", "Los Angeles L", "Lakers"),
    ("BOS", "Boston", "Celtics"),
    ("DEN", "Denver", "Nuggets"),
    ("MIA", "Miami", "Heat"),
    ("OKC", "Oklahoma City", "Thunder"),
    ("NYK", "New York", "Knicks"),
    ("GSW", "Golden State", "Warriors"),
    ("DAL", "Dallas", "Mavericks"),
    ("CLE", "Cleveland", "Cavaliers"),
    ("MIN", "Minnesota", "Timberwolves"),
    ("HOU", "Houston", "Rockets"),
    ("ORL", "Orlando", "Magic"),
)
_NFL = (
    ("KC", "Kansas City", "Chiefs"),
    ("BUF", "Buffalo", "Bills"),
    ("PHI", "Philadelphia", "Eagles"),
    ("DET", "Detroit", "Lions"),
    ("BAL", "Baltimore", "Ravens"),
    ("GB", "Green Bay", "Packers"),
    ("SF", "San Francisco", "49ers"),
    ("SEA", "Seattle", "Seahawks"),
    ("LAR", "Los Angeles R", "Rams"),
    ("DEN", "Denver", "Broncos"),
)
_NHL = (
    ("COL", "Colorado", "Avalanche"),
    ("TOR", "Toronto", "Maple Leafs"),
    ("EDM", "Edmonton", "Oilers"),
    ("VGK", "Vegas", "Golden Knights"),
    ("CAR", "Carolina", "Hurricanes"),
    ("TBL", "Tampa Bay", "Lightning"),
    ("NYR", "New York R", "Rangers"),
    ("BUF", "Buffalo", "Sabres"),
)
_EPL = (
    ("ARS", "Arsenal"),
    ("CHE", "Chelsea"),
    ("LFC", "Liverpool"),
    ("MCI", "Manchester City"),
    ("TOT", "Tottenham"),
    ("AVL", "Aston Villa"),
)
_GAME_P = (
    "In the upcoming {league} game, scheduled for {date} at {hour}PM ET:\n\nIf the {a} win, the market will resolve to "
    '"{a}".\nIf the {b} win, the market will resolve to "{b}".\n\nIf the game is postponed, this market will remain '
    "open until the game has been completed. If the game is canceled entirely, with no make-up game, this market will "
    "resolve 50-50. The result will be determined by the final score, including any overtime{more}."
)


def draft(book: Draft) -> None:
    """Add the sports markets."""
    for number in range(6):
        _game(
            book,
            "nba",
            "NBA",
            "KXNBAGAME",
            _NBA[2 * number],
            _NBA[2 * number + 1],
            1 + number // 3,
            0.36 + 0.07 * number,
            number,
        )
    for number in range(5):
        _game(
            book,
            "nfl",
            "NFL",
            "KXNFLGAME",
            _NFL[2 * number],
            _NFL[2 * number + 1],
            2 + number % 2,
            0.62 - 0.06 * number,
            number + 1,
        )
    for number in range(4):
        _game(
            book,
            "nhl",
            "NHL",
            "KXNHLGAME",
            _NHL[2 * number],
            _NHL[2 * number + 1],
            1 + number % 2,
            0.45 + 0.05 * number,
            number,
        )
    _return_games(book)
    _soccer(book)
    _tennis(book)
    _esports(book)
    _titles(book)


def _game(
    book: Draft,
    league: str,
    name: str,
    series: str,
    away: tuple[str, str, str],
    home: tuple[str, str, str],
    offset: int,
    home_chance: float,
    number: int,
) -> None:
    fact = book.fact(
        f"{league}-{away[0]}-{home[0]}",
        "categorical",
        options={"away": round(1 - home_chance, 4), "home": round(home_chance, 4)},
        volatility=1.5,
        void=0.01,
    )
    _kalshi_game(book, series, name, away, home, offset, fact)
    _poly_game(book, league, name, away, home, offset, fact, number)


def _kalshi_game(
    book: Draft, series: str, name: str, away: tuple[str, str, str], home: tuple[str, str, str], offset: int, fact: str
) -> list[str]:
    event = book.kalshi_event(
        series,
        f"{day(offset, '%y%b%d')}{away[0]}{home[0]}",
        f"{away[1]} at {home[1]}",
        "Sports",
        exclusive=True,
        subtitle=f"{away[0]} at {home[0]} ({day(offset, '%b %-d')})",
    )
    return [
        book.kalshi(
            event,
            team[0],
            f"{away[1]} at {home[1]} Winner?",
            f"If {team[1]} wins the {away[1]} at {home[1]} professional {_SPORT[name]} game originally scheduled for {day(offset)}, then the market resolves to Yes.",
            offset + 14,
            settles(fact, "in", [option]),
            yes=team[1],
            no=team[1],
            rules2=f"The following market refers to the {away[1]} at {home[1]} professional {_SPORT[name]} game originally scheduled for {day(offset)}. If the game is postponed or delayed, the market will remain open and close after the rescheduled game has finished (within two weeks). If it is not, the market settles to a fair price.",
            extra={"can_close_early": True, "expected_expiration_time": f"{{{{d{offset + 1}}}}}T04:00:00Z"},
        )
        for team, option in ((away, "away"), (home, "home"))
    ]


_SPORT = {"NBA": "basketball", "NFL": "football", "NHL": "hockey"}


def _poly_game(
    book: Draft,
    league: str,
    name: str,
    away: tuple[str, str, str],
    home: tuple[str, str, str],
    offset: int,
    fact: str,
    number: int,
) -> str:
    first, second = (away, home) if number % 2 == 0 else (home, away)
    option = "away" if number % 2 == 0 else "home"
    title = f"{first[2]} vs. {second[2]}"
    slug = f"{league}-{away[0].lower()}-{home[0].lower()}-{{{{d{offset}}}}}"
    event = book.poly_event(title, "Sports", slug=slug)
    more = " and shootout" if league == "nhl" else ""
    rules = _GAME_P.format(
        league=name, date=day(offset, "%B %-d"), hour=7 + number % 3, a=first[2], b=second[2], more=more
    )
    return book.poly(
        event,
        title,
        rules,
        offset + 7,
        settles(fact, "in", [option], void="half"),
        slug=slug,
        outcomes=(first[2], second[2]),
        extra={"sportsMarketType": "moneyline", "gameStartTime": f"{{{{d{offset + 1}}}}} 00:30:00+00"},
    )


def _return_games(book: Draft) -> None:
    """Two games of the same teams on successive days: each venue lists one, so names agree and games do not."""
    for number, (away, home) in enumerate(((_NBA[3], _NBA[4]), (_NBA[8], _NBA[5]), (_NHL[4], _NHL[1]))):
        league, name, series = ("nba", "NBA", "KXNBAGAME") if number < 2 else ("nhl", "NHL", "KXNHLGAME")
        first = book.fact(
            f"{league}-first-{away[0]}-{home[0]}", "categorical", options={"away": 0.42, "home": 0.58}, volatility=1.5
        )
        second = book.fact(
            f"{league}-second-{away[0]}-{home[0]}", "categorical", options={"away": 0.47, "home": 0.53}, volatility=1.5
        )
        tickers = _kalshi_game(book, series, name, away, home, 2, first)
        slug = _poly_game(book, league, name, away, home, 3, second, number)
        for ticker in tickers:
            book.near(ticker, slug, "same teams, game of the next day")


def _soccer(book: Draft) -> None:
    for number, (home, away) in enumerate(((_EPL[0], _EPL[1]), (_EPL[2], _EPL[3]), (_EPL[4], _EPL[5]))):
        offset = 2 + number % 2
        fact = book.fact(
            f"epl-{home[0]}-{away[0]}",
            "categorical",
            options=shares({"home": 46.0 - 6 * number, "draw": 26.0, "away": 28.0 + 5 * number}),
            volatility=1.4,
        )
        event = book.kalshi_event(
            "KXEPLGAME",
            f"{day(offset, '%y%b%d')}{home[0]}{away[0]}",
            f"{home[1]} vs {away[1]}",
            "Sports",
            exclusive=True,
        )
        slug = f"epl-{home[0].lower()}-{away[0].lower()}-{{{{d{offset}}}}}"
        poly = book.poly_event(f"{home[1]} FC vs. {away[1]} FC", "Sports", neg_risk=True, slug=slug)
        for option, code, label in (("home", home[0], home[1]), ("draw", "TIE", "Tie"), ("away", away[0], away[1])):
            subject = "the match ends in a tie" if option == "draw" else f"{label} wins"
            book.kalshi(
                event,
                code,
                f"{home[1]} vs {away[1]} Winner?",
                f"If {subject} in the {home[1]} vs {away[1]} professional EPL soccer game originally scheduled for {day(offset)} after 90 minutes plus stoppage time, then the market resolves to Yes.",
                offset + 14,
                settles(fact, "in", [option]),
                yes=label,
                no=label,
                rules2="Extra time and penalty shootouts do not count. A game that is not played within two weeks settles to a fair price.",
            )
            question = (
                f"Will {home[1]} FC vs. {away[1]} FC end in a draw?"
                if option == "draw"
                else f"Will {label} FC win on {day(offset, '%Y-%m-%d')}?"
            )
            book.poly(
                poly,
                question,
                f'In the upcoming Premier League match between {home[1]} FC and {away[1]} FC, scheduled for {long_day(offset)}: if {"the score is level" if option == "draw" else label + " FC is ahead"} at the end of regular time and stoppage time, this market will resolve to "Yes". Otherwise, this market will resolve to "No".\n\nIf the match is canceled without a new date, this market will resolve to "No".',
                offset + 7,
                settles(fact, "in", [option], void="no"),
                slug=f"{slug}-{code.lower()}",
                item=label,
            )


def _tennis(book: Draft) -> None:
    matches = (
        ("Marek Dvorsky", "Luca Ferrandi"),
        ("Tomas Arroyo", "Henrik Solberg"),
        ("Ines Carvalho", "Katarina Lindova"),
    )
    for number, (one, two) in enumerate(matches):
        chance = 0.58 + 0.06 * number
        fact = book.fact(
            f"tennis-{number}",
            "categorical",
            options={"one": round(chance, 4), "two": round(1 - chance, 4)},
            volatility=1.6,
        )
        first_set = book.fact(
            f"tennis-{number}-set",
            "categorical",
            options={"one": round(0.5 + (chance - 0.5) * 0.7, 4), "two": round(0.5 - (chance - 0.5) * 0.7, 4)},
            parent=fact,
            coupling=0.6,
            volatility=1.6,
        )
        a, b = one.split()[1], two.split()[1]
        event = book.kalshi_event(
            "KXATPMATCH", f"{{{{d1:%y%b%d}}}}{a[:3]}{b[:3]}", f"{a} vs {b}", "Sports", exclusive=True
        )
        poly = book.poly_event(f"{one} vs {two}", "Sports", slug=f"atp-{a.lower()}-{b.lower()}-{{{{d1}}}}")
        tickers = [
            book.kalshi(
                event,
                last[:3],
                f"Will {full} win the {a} vs {b} match?",
                f"If {full} wins the {a} vs {b} professional tennis match in the Turin Round Of 16 after a ball has been played, then the market resolves to Yes.",
                15,
                settles(fact, "in", [option]),
                yes=full,
                no=full,
                rules2="If the match does not start because of a walkover, the market settles to a fair price. A retirement after the first ball counts for the player who advances.",
            )
            for full, last, option in ((one, a, "one"), (two, b, "two"))
        ]
        book.poly(
            poly,
            f"Turin: {one} vs {two}",
            f'This market refers to the tennis match between {one} and {two} in the round of 16 at Turin, scheduled for {long_day(1)}.\n\nIt will resolve to "{one}" if {one} advances and to "{two}" if {two} advances. If the match is cancelled before the first point, or ends without a player advancing, this market will resolve 50-50. A retirement during the match counts for the opponent.',
            8,
            settles(fact, "in", ["one"], void="half"),
            outcomes=(a, b),
            slug=f"atp-{a.lower()}-{b.lower()}-{{{{d1}}}}",
        )
        slug = book.poly(
            poly,
            f"Set 1 Winner: {a} vs {b}",
            f"This market will resolve to the player who wins the first set of the match between {one} and {two} scheduled for {long_day(1)}. Who wins the match does not matter. If the first set is not completed, this market will resolve 50-50.",
            8,
            settles(first_set, "in", ["one"], void="half"),
            outcomes=(a, b),
            slug=f"atp-{a.lower()}-{b.lower()}-{{{{d1}}}}-first-set",
        )
        book.near(tickers[0], slug, "match against first set")


def _esports(book: Draft) -> None:
    for number, (one, two) in enumerate((("Ravenhold", "Solar Gaming"), ("Team Northwind", "Kaiju Five"))):
        fact = book.fact(f"lol-{number}", "categorical", options={"one": 0.61, "two": 0.39}, volatility=1.8)
        first_map = book.fact(
            f"lol-{number}-map",
            "categorical",
            options={"one": 0.56, "two": 0.44},
            parent=fact,
            coupling=0.6,
            volatility=1.8,
        )
        codes = (one.split()[-1][:4], two.split()[-1][:4])
        event = book.kalshi_event(
            "KXLOLGAME", f"{{{{d1:%y%b%d}}}}{codes[0]}{codes[1]}", f"{one} vs. {two}", "Sports", exclusive=True
        )
        slug = slug_of("lol", codes[0], codes[1], "{{d1}}")
        poly = book.poly_event(f"LoL: {one} vs {two} (BO5)", "Sports", slug=slug)
        tickers = [
            book.kalshi(
                event,
                code,
                f"Will {team} win the {one} vs. {two} League of Legends match?",
                f"If {team} wins the {one} vs. {two} League of Legends match scheduled for {day(1)}, then the market resolves to Yes.",
                15,
                settles(fact, "in", [option]),
                yes=team,
                no=team,
                rules2="The market refers to the whole best-of-five match, not to a single map.",
            )
            for team, code, option in ((one, codes[0], "one"), (two, codes[1], "two"))
        ]
        book.poly(
            poly,
            f"LoL: {one} vs {two} (BO5)",
            f"This market is about the League of Legends best-of-five match between {one} and {two}, initially scheduled for {long_day(1)}. It resolves to the team that wins the match. If the match is canceled, delayed by more than seven days, or ends without a winner, this market will resolve 50-50.",
            8,
            settles(fact, "in", ["two"], void="half"),
            outcomes=(two, one),
            slug=slug,
        )
        other = book.poly(
            poly,
            f"LoL: {one} vs {two} - Game 1 Winner",
            f"This market resolves to the team that wins Game 1 (the first map) of the best-of-five between {one} and {two}, initially scheduled for {long_day(1)}. Later games and the result of the match are not considered. If Game 1 is not completed, this market will resolve 50-50.",
            8,
            settles(first_map, "in", ["one"], void="half"),
            outcomes=(one, two),
            slug=f"{slug}-game1",
        )
        book.near(tickers[0], other, "match against its first map")


def _titles(book: Draft) -> None:
    year = "{{y1:%Y}}"
    _champions(
        book,
        "KXSB",
        "{{y1:%y}}",
        "nfl-title",
        [(t[0], t[1], f"{t[1].removesuffix(' R')} {t[2]}") for t in _NFL],
        f"{year} Pro Football Championship",
        f"Super Bowl {year}",
        "win the {0}",
        90,
    )
    _champions(
        book,
        "KXNBA",
        "{{y1:%y}}",
        "nba-title",
        [(t[0], t[1], f"{t[1].removesuffix(' L')} {t[2]}") for t in _NBA],
        f"{year} Pro Basketball Finals",
        f"{year} NBA Finals",
        "win the {0}",
        215,
    )
    _conference(book)


def _champions(
    book: Draft,
    series: str,
    code: str,
    fact_id: str,
    teams: list[tuple[str, str, str]],
    kalshi_name: str,
    poly_name: str,
    verb: str,
    close: int,
) -> None:
    weights = {team[0]: 10.0 / (rank + 1.5) for rank, team in enumerate(teams)}
    fact = book.fact(fact_id, "categorical", options=shares({**weights, "field": 4.0}), volatility=0.7)
    event = book.kalshi_event(series, code, f"{kalshi_name} winner", "Sports", exclusive=True)
    poly = book.poly_event(f"{poly_name} Champion", "Sports", neg_risk=True)
    for short, place, full in teams:
        book.kalshi(
            event,
            short,
            f"Will {place} {verb.format(kalshi_name)}?",
            f"If {place} wins the {kalshi_name}, then the market resolves to Yes.",
            close,
            settles(fact, "in", [short]),
            yes=place,
        )
        book.poly(
            poly,
            f"Will the {full} {verb.format(poly_name)}?",
            f'This market will resolve to "Yes" if the {full} {verb.format(poly_name)}. Otherwise, this market will resolve to "No".\n\nThis market will resolve to "No" as soon as it becomes impossible for the {full} to do so under the rules of the league. If no champion has been declared by {long_day(close + 60)}, this market resolves to "Other". {CREDIBLE}',
            close,
            settles(fact, "in", [short], void="no"),
            item=full,
        )


def _conference(book: Draft) -> None:
    year = "{{y1:%Y}}"
    poly = book.poly_event(f"{year} NBA Eastern Conference Champion", "Sports", neg_risk=True)
    east = [team for team in _NBA if team[0] in ("BOS", "MIA", "NYK", "CLE", "ORL")]
    fact = book.fact(
        "nba-east",
        "categorical",
        options=shares({**{team[0]: 10.0 / (rank + 1.5) for rank, team in enumerate(east)}, "field": 3.0}),
        volatility=0.7,
    )
    for short, place, nickname in east:
        slug = book.poly(
            poly,
            f"Will the {place} {nickname} win the NBA Eastern Conference Finals?",
            f'This market will resolve to "Yes" if the {place} {nickname} win the {year} Eastern Conference Finals and so reach the NBA Finals. Otherwise, this market will resolve to "No". The outcome of the NBA Finals does not matter.',
            200,
            settles(fact, "in", [short]),
            item=f"{place} {nickname}",
        )
        book.near(f"KXNBA-{{{{y1:%y}}}}-{short}", slug, "league title against conference title")
