"""Entertainment and technology: awards, scores, charts, releases, models, listings. All names are invented."""

from __future__ import annotations

from streams.sandbox.catalogue.bundled.draft import CREDIBLE, Draft, day, long_day, settles, shares

_FILMS = (
    "The Salt Meridian",
    "A Quiet Ledger",
    "Ninth Harbor",
    "Paper Cathedral",
    "Winter Circuit",
    "Daughters of Tin",
)
_SONGS = ("Neon Orchard", "Half Past You", "Cinnamon Static", "Low Tide Radio")
_MODELS = ("Orinoco Labs", "Halcyon", "Bright Fathom", "Tessellate")
_FIRMS = (("KXIPOVANTA", "Vantablue Robotics"), ("KXIPOORBIT", "Orbital Freight"), ("KXIPOGLIDE", "Glidepath Payments"))


def draft(book: Draft) -> None:
    """Add the entertainment and technology markets."""
    _best_picture(book)
    _scores(book)
    _box_office(book)
    _charts(book)
    _models(book)
    _listings(book)
    _releases(book)


def _best_picture(book: Draft) -> None:
    winner = book.fact(
        "best-picture",
        "categorical",
        options=shares({**{film: 10.0 / (rank + 1.6) for rank, film in enumerate(_FILMS)}, "other": 2.0}),
        volatility=0.7,
    )
    event = book.kalshi_event("KXOSCARPIC", "{{y1:%y}}", "Oscar for Best Picture?", "Entertainment", exclusive=True)
    poly = book.poly_event("Oscars {{y1:%Y}}: Best Picture Winner", "Culture", neg_risk=True)
    nominated = book.poly_event("Oscars {{y1:%Y}}: Best Picture Nominations", "Culture")
    for rank, film in enumerate(_FILMS):
        ticker = book.kalshi(
            event,
            "".join(word[0] for word in film.split()) + str(rank),
            f"Will {film} win Best Picture?",
            f"If {film} wins Best Picture at the {{{{y1:%Y}}}} Academy Awards, then the market resolves to Yes.",
            120,
            settles(winner, "in", [film]),
            yes=film,
        )
        book.poly(
            poly,
            f"Will {film} win Best Picture at the {{{{y1:%Y}}}} Oscars?",
            f'This market will resolve to "Yes" if {film} is awarded the Oscar for Best Picture at the Academy Awards ceremony of {{{{y1:%Y}}}}. Otherwise, this market will resolve to "No".\n\nIf it becomes impossible for the film to win, this market may resolve to "No" at once. {CREDIBLE}',
            118,
            settles(winner, "in", [film]),
            item=film,
        )
        if rank < 3:
            fact = book.fact(f"nominated-{rank}", "binary", p=0.9 - 0.12 * rank, parent=winner, coupling=0.2)
            slug = book.poly(
                nominated,
                f"Will {film} be nominated for Best Picture at the {{{{y1:%Y}}}} Oscars?",
                f'This market will resolve to "Yes" if {film} is among the nominees for Best Picture announced by the Academy for the ceremony of {{{{y1:%Y}}}}. Otherwise, this market will resolve to "No". Whether it wins does not matter.',
                62,
                settles(fact),
                item=film,
            )
            book.near(ticker, slug, "nominated against wins")


def _scores(book: Draft) -> None:
    for code, film, mean in (("SALT", "The Salt Meridian", 82), ("COMET", "Comet Riders 3", 61)):
        fact = book.fact(f"score-{code.lower()}", "scalar", mean=mean, sd=6, step="1", volatility=1.2)
        event = book.kalshi_event("KXRT", code, f"{film} Rotten Tomatoes score?", "Entertainment")
        poly = book.poly_event(f"{film} Rotten Tomatoes score?", "Culture")
        for offset in (-10, -5, 0, 5):
            strike = mean + offset
            ticker = book.kalshi(
                event,
                str(strike),
                f"Will {film} have a Tomatometer score above {strike}?",
                f"If {film} has a Tomatometer score above {strike} on Rotten Tomatoes at 10:00 AM ET on {day(14)}, then the market resolves to Yes.",
                14,
                settles(fact, "gt", strike),
                yes=f"Above {strike}",
                strike={"type": "greater", "floor": str(strike)},
            )
            shown = strike + 1 if offset in (-10, 0) else strike
            slug = book.poly(
                poly,
                f"Will {film} get a score of at least {shown} on Rotten Tomatoes?",
                f'This market will resolve to "Yes" if the Tomatometer of {film} shows {shown}% or more on Rotten Tomatoes on {long_day(14)}, 10:00 AM ET. Otherwise, this market will resolve to "No".\n\nThe score of all critics decides, not the audience score and not that of top critics.',
                14,
                settles(fact, "ge", shown),
                item=f"{shown}+",
            )
            if shown == strike:
                book.near(ticker, slug, f"above {strike} against at least {strike}")


def _box_office(book: Draft) -> None:
    home = book.fact("boxoffice-home", "scalar", mean=58, sd=8, step="0.1", volatility=1.2)
    world = book.fact("boxoffice-world", "scalar", mean=61, sd=9, step="0.1", parent=home, coupling=0.7)
    event = book.kalshi_event("KXOPENING", "COMET", "Comet Riders 3 opening weekend?", "Entertainment")
    poly = book.poly_event("Comet Riders 3 opening weekend box office", "Culture")
    for strike in (45, 50, 55, 60, 65):
        ticker = book.kalshi(
            event,
            str(strike),
            f"Will Comet Riders 3 gross more than ${strike} million in its opening weekend?",
            f"If the domestic three-day opening weekend gross of Comet Riders 3 is above ${strike},000,000 according to The Numbers, then the market resolves to Yes.",
            18,
            settles(home, "gt", strike),
            yes=f"Above ${strike}M",
            strike={"type": "greater", "floor": str(strike)},
        )
        is_home = strike % 10 == 5
        fact, words = (
            (home, "domestic (US and Canada)") if is_home else (world, "international, outside the US and Canada,")
        )
        slug = book.poly(
            poly,
            f"Comet Riders 3 {'domestic' if is_home else 'international'} opening weekend above ${strike}m?",
            f'This market will resolve to "Yes" if the {words} gross of Comet Riders 3 over its three-day opening weekend is greater than ${strike} million, per the "Daily Box Office" page of The Numbers once the values are final rather than studio estimates. Otherwise, this market will resolve to "No".',
            18,
            settles(fact, "gt", strike),
            item=f">${strike}m",
        )
        if not is_home:
            book.near(ticker, slug, "domestic against international gross")


def _charts(book: Draft) -> None:
    spotify = book.fact(
        "chart-spotify",
        "categorical",
        options=shares({**{song: 10.0 / (rank + 2) for rank, song in enumerate(_SONGS)}, "other": 3.0}),
    )
    billboard = book.fact(
        "chart-billboard",
        "categorical",
        options=shares({**{song: 8.0 / (rank + 3) for rank, song in enumerate(_SONGS)}, "other": 4.0}),
    )
    event = book.kalshi_event(
        "KXTOPSONG", "{{d9:%y%b%d}}", f"Top song on Spotify US on {day(9)}?", "Entertainment", exclusive=True
    )
    poly = book.poly_event(f"Top song on Spotify US on {day(9, '%B %-d')}?", "Culture", neg_risk=True)
    other = book.poly_event(f"Billboard Hot 100 #1 on {day(9, '%B %-d')}?", "Culture", neg_risk=True)
    for song in _SONGS:
        ticker = book.kalshi(
            event,
            song.replace(" ", "")[:5],
            f"Will {song} be the top song on Spotify in the USA on {day(9)}?",
            f"If {song} is #1 on the Spotify Daily Top Songs USA chart dated {day(9)}, then the market resolves to Yes.",
            10,
            settles(spotify, "in", [song]),
            yes=song,
        )
        book.poly(
            poly,
            f'Will "{song}" be #1 on Spotify US on {day(9, "%B %-d")}?',
            f'This market will resolve to "Yes" if "{song}" holds the first place of Spotify\'s daily chart of top songs in the USA for {long_day(9)}. Otherwise, this market will resolve to "No". The resolution source is https://charts.spotify.com.',
            10,
            settles(spotify, "in", [song]),
            item=song,
        )
        slug = book.poly(
            other,
            f'Will "{song}" be the top song in the US on {day(9, "%B %-d")}?',
            f'This market will resolve to "Yes" if "{song}" is number one of the Billboard Hot 100 dated for the week of {long_day(9)}. Otherwise, this market will resolve to "No". Streaming charts are not considered.',
            10,
            settles(billboard, "in", [song]),
            item=song,
        )
        book.near(ticker, slug, "Spotify's daily chart against the Billboard Hot 100")


def _models(book: Draft) -> None:
    fact = book.fact(
        "top-model",
        "categorical",
        options=shares({**{firm: 10.0 / (rank + 1.3) for rank, firm in enumerate(_MODELS)}, "other": 1.0}),
    )
    event = book.kalshi_event(
        "KXLLM", "{{d40:%y%b%d}}", "Top language model?", "Science and Technology", exclusive=True
    )
    poly = book.poly_event(f"Which company has the best language model on {day(40, '%B %-d')}?", "Tech", neg_risk=True)
    for firm in _MODELS:
        book.kalshi(
            event,
            firm.replace(" ", "")[:4],
            f"Will {firm} have the top-ranked language model on {day(40)}?",
            f"If {firm} owns the highest ranked model of the text leaderboard of LMArena, style control on, on {day(40)} at 10:00 AM ET, then the market resolves to Yes.",
            40,
            settles(fact, "in", [firm]),
            yes=firm,
            rules2="If two or more models share the highest rank, the one with the higher arena score counts.",
        )
        book.poly(
            poly,
            f"Will {firm} have the best language model at the end of the day {day(40, '%B %-d')}?".replace(
                "at the end of the day", "on"
            ),
            f"This market will resolve to the company that owns the model with the highest arena score on the LMArena text leaderboard (with style control) when it is checked on {long_day(40)}, 10:00 AM ET. If two models are tied, the higher arena score before rounding decides.",
            40,
            settles(fact, "in", [firm]),
            item=firm,
        )


def _listings(book: Draft) -> None:
    for number, (series, firm) in enumerate(_FIRMS):
        trade = book.fact(f"ipo-{number}", "scalar", mean=130 + 30 * number, sd=70, step="1", volatility=0.8)
        filed = book.fact(
            f"ipo-filed-{number}", "scalar", mean=85 + 30 * number, sd=60, step="1", parent=trade, coupling=0.7
        )
        event = book.kalshi_event(series, "", f"Will {firm} IPO?", "Companies")
        poly = book.poly_event(f"{firm} IPO by...?", "Tech")
        for offset in (90, 180):
            ticker = book.kalshi(
                event,
                day(offset, "%y%b%d"),
                f"Will {firm} begin trading publicly before {day(offset)}?",
                f"If the shares of {firm} begin trading on a US exchange before {day(offset)}, then the market resolves to Yes.",
                offset,
                settles(trade, "lt", offset),
                hour=15,
            )
            if offset == 180:
                book.poly(
                    poly,
                    f"Will {firm} IPO by {day(offset - 1, '%B %-d, %Y')}?",
                    f'This market will resolve to "Yes" if stock of {firm} is listed and starts to trade on an exchange in the United States by {long_day(offset - 1)}, 11:59 PM ET. Otherwise, this market will resolve to "No". Filing for an offering or setting its price is not enough.',
                    offset,
                    settles(trade, "le", offset - 1),
                    item=day(offset - 1, "%B %-d"),
                )
                continue
            slug = book.poly(
                poly,
                f"{firm} IPO filing public by {day(offset - 1, '%B %-d')}?",
                f'This market will resolve to "Yes" if a registration statement on Form S-1 of {firm} is publicly available on EDGAR by {long_day(offset - 1)}, 11:59 PM ET. Otherwise, this market will resolve to "No". Shares need not trade by then.',
                offset,
                settles(filed, "le", offset - 1),
                item="filing",
            )
            book.near(ticker, slug, "begins trading against files for it")


def _releases(book: Draft) -> None:
    rows = (
        ("KXHELIOS", "Helios Drift 2", "game", 80),
        ("KXALBUMV", "Mara Venn's new album", "album", 55),
        ("KXPHONE", "the Lumen Fold phone", "device", 100),
    )
    for number, (series, name, kind, mean) in enumerate(rows):
        fact = book.fact(f"release-{number}", "scalar", mean=mean, sd=45, step="1")
        event = book.kalshi_event(series, "", f"When will {name} be released?", "Entertainment")
        poly = book.poly_event(f"{name[0].upper()}{name[1:]} released by...?", "Culture")
        for offset in (45, 75, 105):
            book.kalshi(
                event,
                day(offset, "%y%b%d"),
                f"Will {name} be released before {day(offset)}?",
                f"If {name} is released to the public before {day(offset)}, then the market resolves to Yes.",
                offset,
                settles(fact, "lt", offset),
                yes=f"Before {day(offset)}",
                hour=5,
                rules2=f"The {kind} must be generally available in the United States. Early access, demos and leaks do not count.",
            )
            book.poly(
                poly,
                f"{name[0].upper()}{name[1:]} out by {day(offset - 1, '%B %-d')}?",
                f'This market will resolve to "Yes" if {name} becomes available to the general public in the US by {long_day(offset - 1)}, 11:59 PM ET. Otherwise, this market will resolve to "No".\n\nBeta versions, previews, leaks and limited early access do not count as a release. {CREDIBLE}',
                offset,
                settles(fact, "le", offset - 1),
                item=day(offset - 1, "%B %-d"),
            )
