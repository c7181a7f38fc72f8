"""`crossbook match` and `crossbook judge`: candidates and verdicts for listings in files, without a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from app.cli.output import ExitCode, JsonOption, emit_lines, fail, warn

if TYPE_CHECKING:
    from orchestration.judging.judge import Judge
    from orchestration.matching.verdict import Verdict
    from streams.market.identity import Venue
    from streams.market.listing import Listing

_T = TypeVar("_T")
_PAIR_KEYS = frozenset({"pair_id", "a", "b"})
JudgeChoice = Literal["rules", "llm", "both"]
_NAMES: dict[str, tuple[str, ...]] = {
    "market_id": ("market_id", "ticker", "condition_id", "conditionId", "id", "kalshi_ticker", "polymarket_id"),
    "event_id": ("event_id", "event_ticker"),
    "title": ("title", "question"),
    "subtitle": ("subtitle",),
    "event_title": ("event_title",),
    "rules": ("rules", "rules_primary", "description"),
    "close_time": ("close_time", "end_date", "endDate"),
    "yes_means": ("yes_means", "yes_sub_title"),
    "category": ("category",),
}
"""Fields of a listing and the names recorded lists have for them, in order of preference."""

JudgeOption = Annotated[JudgeChoice, typer.Option("--judge", help="Who judges: the rules, the language model, both.")]


def register(cli: typer.Typer) -> None:
    """Add `match` and `judge`."""
    cli.command("match")(match)
    cli.command("judge")(judge)


def match(
    kalshi: Annotated[Path, typer.Option("--kalshi", help="Kalshi listings: JSON lines, plain or .gz.")],
    polymarket: Annotated[Path, typer.Option("--polymarket", help="Polymarket listings: JSON lines, plain or .gz.")],
    judge_name: JudgeOption = "rules",
    as_json: JsonOption = False,
) -> None:
    """Find candidates between two files of listings and judge them."""
    from orchestration.matching.candidates import find_candidates
    from orchestration.matching.normalise import extract
    from orchestration.matching.rules_judge import judge_features
    from streams.market.identity import Venue
    from streams.settings import load_settings

    settings = load_settings()
    reading = _Reading()
    left = list(reading.of(kalshi, lambda row: extract(_listing(row, Venue.KALSHI))))
    right = list(reading.of(polymarket, lambda row: extract(_listing(row, Venue.POLYMARKET))))
    by_id = {(f.listing.venue, f.listing.market_id): f for f in left + right}
    found = find_candidates(left, right, top=settings.candidates_per_market, min_score=settings.candidate_min_score)
    sides = [(by_id[Venue.KALSHI, c.kalshi_market_id], by_id[Venue.POLYMARKET, c.polymarket_market_id]) for c in found]
    if judge_name == "rules":
        verdicts: Iterator[list[Verdict]] = ([judge_features(a, b)] for a, b in sides)
    else:
        verdicts = _verdicts([(a.listing, b.listing) for a, b in sides], judge_name)
    emit_lines(
        (
            {
                "kalshi_id": candidate.kalshi_market_id,
                "polymarket_id": candidate.polymarket_market_id,
                "rank": candidate.rank,
                "score": candidate.score,
                "reasons": list(candidate.reasons),
                "verdict": _document(verdict),
            }
            for candidate, answers in zip(found, verdicts, strict=True)
            for verdict in answers
        ),
        as_json=as_json,
    )
    reading.end()


def judge(
    pairs: Annotated[Path, typer.Argument(help='JSON lines of {"pair_id", "a": listing, "b": listing}; a is Kalshi.')],
    judge_name: JudgeOption = "rules",
    as_json: JsonOption = False,
) -> None:
    """Judge given pairs of listings."""
    reading = _Reading()
    asked = list(reading.of(pairs, _question))
    emit_lines(
        (
            {"pair_id": name, **_document(verdict)}
            for (name, *_), answers in zip(asked, _verdicts([(a, b) for _, a, b in asked], judge_name), strict=True)
            for verdict in answers
        ),
        as_json=as_json,
    )
    reading.end()


def _question(row: dict[str, Any]) -> tuple[str, Listing, Listing]:
    from streams.market.identity import Venue

    a, b = row.get("a"), row.get("b")
    if not isinstance(a, dict) or not isinstance(b, dict):
        raise _BadLine('a pair needs the objects "a" and "b"')
    unknown = sorted(set(row) - _PAIR_KEYS)
    if unknown:
        raise _BadLine(f"{unknown[0][:80]!r} is not known; a pair has pair_id, a and b")
    name = row.get("pair_id", "")
    if not isinstance(name, str | int):
        raise _BadLine("pair_id is not a text")
    return str(name), _listing(a, Venue.KALSHI), _listing(b, Venue.POLYMARKET)


def _verdicts(questions: list[tuple[Listing, Listing]], choice: JudgeChoice) -> Iterator[list[Verdict]]:
    """Yield the verdicts of each question: one, or two with `both`."""
    judges = [_judge(name) for name in (("rules", "llm") if choice == "both" else (choice,))]
    for answers in zip(*(judge.judge(questions) for judge in judges), strict=True):
        yield [verdict if verdict is not None else _unasked() for _, verdict in answers]


def _judge(name: str) -> Judge:
    from decimal import Decimal

    from orchestration.judging.budget import Budget
    from orchestration.judging.cache import MemoryCache
    from orchestration.judging.judge import Judge, build_judge
    from streams.settings import load_settings

    settings = load_settings()
    if name == "rules":
        return Judge(None, MemoryCache(), Budget(Decimal(0)), 1)
    if settings.openai_api_key is None:
        fail("The language model needs OPENAI_API_KEY; --judge rules needs none.", ExitCode.USAGE)
    return build_judge(settings, MemoryCache(), Decimal(0))


def _unasked() -> Verdict:
    from decimal import Decimal

    from orchestration.matching.verdict import Verdict

    return Verdict("uncertain", None, Decimal(0), "none", basis_risk="not asked: the day's budget is spent")


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "relation": verdict.relation,
        "same_contract": verdict.same_contract,
        "polarity": verdict.polarity,
        "confidence": verdict.confidence,
        "judge": verdict.judge,
        "differences": [difference.as_json() for difference in verdict.differences],
        "basis_risk": verdict.basis_risk,
    }


class _BadLine(Exception):
    """A line that cannot be used; the message says why."""


class _Reading:
    """Reads the lines of a command's files; a bad one is named on stderr, and the rest goes on."""

    def __init__(self) -> None:
        self.bad = 0

    def of(self, path: Path, make: Callable[[dict[str, Any]], _T]) -> Iterator[_T]:
        """Yield what `make` makes of each line; a file that cannot be read ends the command."""
        from streams.documents import BadDocument, read_lines

        try:
            for line in read_lines(path):
                try:
                    if line.problem or not isinstance(line.value, dict):
                        raise _BadLine(line.problem or "not a JSON object")
                    yield make(line.value)
                except _BadLine as error:
                    self.bad += 1
                    warn(f"{path.name} line {line.number}: {error}")
        except BadDocument as error:
            fail(str(error), ExitCode.USAGE)

    def end(self) -> None:
        """End the command with exit code 1 if a line was bad."""
        if self.bad:
            raise typer.Exit(int(ExitCode.ERROR))


def _listing(row: dict[str, Any], venue: Venue) -> Listing:
    """Return a listing; raises `_BadLine` for a row without id or title."""
    from streams.market.listing import Listing
    from streams.venues.common.times import parse_time

    texts = {name: _first(row, names) for name, names in _NAMES.items()}
    if not texts["market_id"] or not texts["title"]:
        raise _BadLine("a listing needs market_id and title")
    secondary = row.get("rules_secondary")
    if isinstance(secondary, str) and secondary and secondary not in texts["rules"]:
        texts["rules"] = f"{texts['rules']}\n{secondary}"
    close_time = parse_time(texts.pop("close_time"))
    strike = row.get("strike")
    if strike is not None and not isinstance(strike, dict):
        raise _BadLine("strike is not an object")
    return Listing(
        venue=venue,
        close_time=close_time,
        outcomes=_outcomes(row.get("outcomes")),
        strike={key: str(value) for key, value in strike.items() if value is not None} if strike else None,
        **texts,
    )


def _first(row: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = row.get(name)
        if value is None or value == "":
            continue
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
        raise _BadLine(f"{name} is not a text")
    return ""


def _outcomes(value: object) -> tuple[str, str]:
    import json

    if value is None or value == "" or value == []:
        return ("Yes", "No")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _BadLine("outcomes is not a list") from None
    if not isinstance(value, list) or len(value) != 2:
        raise _BadLine("outcomes needs two names")
    return str(value[0]), str(value[1])
