"""The words of matching: which phrases mean the same thing, which words carry no meaning, which ones name a stage.

Data only. Each phrase rule is (pattern over folded text, replacement); they run in order, longest meanings first.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_RULES: tuple[tuple[str, str], ...] = (
    (r"\bu\.?\s?s\.?a?\.?(?=\s|$|,|')", "usa"),
    (r"\bunited states( of america)?\b", "usa"),
    (r"\bu\.k\.?|\bunited kingdom\b", "uk"),
    (r"\bnew york city\b|\bnyc\b", "newyorkcity"),
    (r"\bfederal reserve\b|\bfomc\b", "fed"),
    (r"\b(men's|fifa|mens) world cup\b", "worldcup"),
    (r"\bpro football championship\b|\bsuper bowl\b|\bnfl league championship\b|\bnfl championship\b", "superbowl"),
    (r"\bpro basketball (finals?|championship)\b|\bnba (finals?|championship|title)\b", "nbafinals"),
    (r"\b(nhl )?stanley cup( finals?)?\b|\bpro hockey championship\b", "stanleycup"),
    (r"\bpro baseball national league championship\b|\bnational league championship( series)?\b", "nlpennant"),
    (r"\bpro baseball american league championship\b|\bamerican league championship( series)?\b", "alpennant"),
    (r"\bpro baseball championship\b|\bworld series\b", "worldseries"),
    (r"\b(nfl )?(afc|nfc) championship\b", r"\2championship"),
    (r"\bcollege basketball national championship\b|\bncaa tournament\b|\bmarch madness\b", "ncaatournament"),
    (r"\bcollege football (national championship|playoffs?( national championship)?)\b", "cfpchampionship"),
    (r"\bpro basketball\b", "nba"),
    (r"\bpro baseball\b", "mlb"),
    (r"\bpro football\b", "nfl"),
    (r"\bpro hockey\b", "nhl"),
    (r"\bindian premier league\b", "ipl"),
    (r"\b(english )?premier league\b", "epl"),
    (r"\b(uefa )?champions league\b", "ucl"),
    (r"\b(uefa )?europa league\b", "uel"),
    (r"\b(french )?ligue 1\b", "ligueone"),
    (r"\b(german )?bundesliga\b", "bundesliga"),
    (r"\b(spanish )?la liga\b", "laliga"),
    (r"\b(the )?masters( tournament)?\b", "masters"),
    (r"\bf1\b|\bformula (1|one)\b", "formulaone"),
    (r"\bconstructors'? champion(ship)?\b", "constructors win"),
    (r"\bdrivers'? champion(ship)?\b", "drivers win"),
    (r"\bstolen bases\b", "steals"),
    (r"\b(points|assists|rebounds|blocks|steals) per game\b", r"\1"),
    (r"\bnomine+e for (the )?presidency for the (democratic|republican) party\b", r"\2 presidential nominee"),
    (r"\b(win|wins|won|accepts?|wins and accepts) the (.{0,40}?)nomination\b", r"be the \2nominee"),
    (r"\bnomination\b", "nominee"),
    (r"\bpresidency\b|\bpresidential\b", "president"),
    (r"\bgubernatorial\b|\bgovernorship\b|\bgovernor'?s?\b", "governor"),
    (r"\b(democratic|republican) primary( election)?\b", r"\1 nominee"),
    (r"\bst\.(?= (win|to win|beat)\b|$)", "state"),
    (r"\bhow high will (.{1,40}) get\b", r"\1 reach"),
    (r"\b(becomes? law|signed into law|enacted)\b", "enacted"),
    (r"\bbegins? trading publicly\b|\bgo(es)? public\b", "ipo"),
    (r"\b(be released|comes? out|out by)\b", "released by"),
    (r"\brain\b|\bprecipitation\b", "rain"),
    (r"\bdemocrats\b|\bdemocratic party\b|\bdemocrat\b", "democratic"),
    (r"\brepublicans\b|\brepublican party\b|\bgop\b", "republican"),
    (r"\bhouse (race|seat) for ([a-z]{2}-\d+)\b", r"\2 houseseat"),
    (r"\b([a-z]{2}-\d+)( congressional district)? house (seat|race)\b", r"\1 houseseat"),
    (r"\b(house|senate) (race|election|seat)\b", r"\1"),
    (r"\bprime minister\b|\bpm of\b", "primeminister"),
    (r"\b(out as|leaves? office as|ceases? to be|depart as)\b", "leave"),
    (r"\b(fed|target federal|federal) funds (target )?rates?\b|\bfed rates?\b", "fedrate"),
    (r"\binterest rates?\b|\brates\b", "fedrate"),
    (r"\brate cuts?\b", "fedrate cut"),
    (r"\b(decreases?|lowers?|reduces?|cuts)\b", "cut"),
    (r"\b(increases?|raises?|hikes)\b", "hike"),
    (r"\b(basis points?|bps?)\b", "bps"),
    (r"\b(physically )?(enters?|visits|travels? to)\b", "visit"),
    (r"\bbtc\b|\bbitcoin'?s?\b", "bitcoin"),
    (r"\beth\b|\bethereum'?s?\b|\bether\b", "ethereum"),
    (r"\bsol\b|\bsolana'?s?\b", "solana"),
    (r"\bxrp\b|\bripple\b", "xrp"),
    (r"\bdoge\b|\bdogecoin\b", "dogecoin"),
    (r"\bs&p 500\b|\bs&p\b|\bspx\b", "spx"),
    (r"\bnasdaq[- ]100\b|\bndx\b", "nasdaqhundred"),
    (r"\bbetween market creation and\b", "by"),
    (r"\bhigh(est)? temp(erature)?\b", "hightemperature"),
    (r"\blow(est)? temp(erature)?\b", "lowtemperature"),
    (r"\bpresidential pardon\b", "pardon"),
    (r"\b(champions?|championship|winners?|winning|wins|won)\b", "win"),
    (r"\bqualif(y|ies) (for|to)\b|\breach(es)?\b|\badvances? to\b", "reach"),
    (r"\ba's\b", "athletics"),
    (r"\bnumber one\b|#\s?1\b", "top"),
    (r"\bbest\b|\btop-ranked\b|\bmost streamed\b", "top"),
    (r"\bmeets? with\b", "meet"),
    (r"\brecession\b", "recession"),
)

PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple((re.compile(p), r) for p, r in _RULES)

STOPWORDS = _words(
    """a an and any are as at be become becomes been being by do does for from had has have he her his how if in into
    is it its itself of on or she than that the their them then there they this to was were what when where whether
    which who whom whose will wil with would market resolve resolves yes no current incumbent following after during
    price happen happens happened official officially announced declared season game match edition tournament next
    new et est edt utc am pm us least once bps not never end day date time listed"""
)
"""Words that never tell two markets apart. `no` and `next` are read by other rules before they are dropped."""

SOFT_WORDS = _words(
    """election race midterm midterms control win president general national federal party candidate person individual
    league cup nba nfl nhl mlb ncaa finals series regular target range company inc corp team club fc cf esports
    gaming major men mens women womens division 1 world donald j jr sr mr mrs dr class ii iii seat office town city
    usa american price value level close trade hit receive get take between added add newly become growth real"""
)
"""Words one side may have and the other not, where everything else agrees; each costs confidence."""

STAGES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("first round", r"\b(1st|first) round\b"),
        ("second round", r"\b(2nd|second) round\b|\brun-?off\b"),
        ("primary", r"\bprimary\b"),
        ("second place", r"\b(2nd|second)( place)?\b(?! round)|\brunner-?up\b"),
        ("third place", r"\b(3rd|third)( place)?\b(?! round)"),
        ("first half", r"\b(1st|first) half\b|\b1h\b"),
        ("second half", r"\b(2nd|second) half\b|\b2h\b"),
        ("quarter", r"\b(1st|2nd|3rd|4th|first|second|third|fourth) quarter\b|\bq[1-4]\b"),
        ("set", r"\bset [1-5]\b|\b(1st|first|2nd|second|3rd|third) set\b"),
        ("map", r"\b(map|game) [1-5]\b(?!:)"),
        ("inning", r"\b(1st|first|five|5) innings?\b"),
        ("series", r"\bseries winner\b|\bwin the series\b|\bseries\b(?= (price|score))"),
        ("ballot", r"\bballot\b"),
        ("top n", r"\btop (\d+)\b"),
        ("playoffs", r"\bplayoffs?\b"),
        ("semifinal", r"\bsemi-?finals?\b"),
        ("grand final", r"\bgrand final\b"),
        ("stage", r"\bstage \d\b"),
        ("ticket", r"\bticket\b"),
        ("announcement", r"\bannounce[sd]?\b"),
        ("acquisition", r"\bacquire[sd]?\b|\bacquisition\b"),
        ("mvp", r"\bmvp\b"),
        ("popular vote", r"\bpopular vote\b"),
        ("overtime", r"\bovertime\b|\bextra time\b|\bpenalt(y|ies)\b"),
        ("both teams", r"\bboth teams\b|\bbtts\b"),
        ("total", r"\bo/u\b|\btotal (goals|points|runs|games|maps|kills)\b|\bover/under\b"),
        ("spread", r"\bspread\b|\bhandicap\b|\bby more than\b|\(-\d"),
    )
)
"""What part of an occasion a market is about. Two markets of different parts are never the same contract."""

SOURCES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("NBER", r"\bnber\b|business cycle dating"),
        ("two quarters of GDP", r"\btwo consecutive quarters\b"),
        ("Coinbase", r"\bcoinbase\b"),
        ("Binance", r"\bbinance\b"),
        ("Kraken", r"\bkraken\b"),
        ("CF Benchmarks", r"\bcf benchmarks\b|\bbrti\b|\bcme cf\b"),
        ("Chainlink", r"\bchainlink\b"),
        ("Pyth", r"\bpyth\b"),
        ("CoinGecko", r"\bcoingecko\b"),
        ("CoinMarketCap", r"\bcoinmarketcap\b"),
        ("Central Park", r"\bcentral park\b|\bknyc\b"),
        ("LaGuardia", r"\blaguardia\b|\bla guardia\b|\bklga\b"),
        ("JFK", r"\bjfk\b|\bkennedy (international )?airport\b"),
        ("O'Hare", r"\bo'hare\b|\bkord\b"),
        ("Midway", r"\bmidway\b|\bkmdw\b"),
        ("Box Office Mojo", r"\bbox office mojo\b"),
        ("The Numbers", r"\bthe-numbers\b|\bthe numbers\b"),
        ("Luminate", r"\bluminate\b"),
        ("Rotten Tomatoes", r"\brotten tomatoes\b"),
        ("Metacritic", r"\bmetacritic\b"),
        ("Silver Bulletin", r"\bsilver bulletin\b"),
        ("RealClearPolitics", r"\brealclear(politics|polling)\b"),
        ("Netflix", r"\bnetflix\b"),
        ("LMArena", r"\blm ?arena\b|\bchatbot arena\b"),
    )
)
"""Sources whose numbers differ for the same question."""

NICKNAMES = _words(
    """cardinal falcon raven bill panther bengal brown cowboy bronco lion packer texan colt jaguar chief raider dolphin
    viking patriot saint eagle steeler 49er seahawk buccaneer titan commander hawk celtic hornet cavalier maverick
    nugget piston warrior rocket pacer grizzly heat buck timberwolve timberwolf pelican thunder magic 76er sun trail
    blazer king spur raptor jazz wizard diamondback brave oriole red sox guardian rockie rockies tiger astro royal
    marlin brewer twin phillie phillies pirate padre mariner ray blue jay national athletic athletics bruin sabre
    flame hurricane avalanche jacket star oiler wild canadien predator devil senator flyer penguin shark kraken
    lightning maple leaf canuck golden knight capital jet mammoth blues"""
)
"""Nicknames of teams whose city has one team in its league: "Atlanta" and "Atlanta Falcons" are the same side there."""

NEGATIONS = re.compile(r"\b(no|not|never|fails? to|without|isn't|won't|doesn't|none)\b")
DOWNWARD = re.compile(r"\b(down|fall|falls|lower than|decline[sd]?|lose|loses)\b")
UPWARD = re.compile(r"\b(up|rise|rises|higher than|gain[s]?)\b")
CONTESTS = re.compile(
    r"\b(win|nominee|champion|lead|leads|finish|qualif\w+|reach|elected|mvp|seat|control|houseseat|top|vs|place)\b"
)
