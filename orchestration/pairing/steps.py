"""The steps of matching between storage and the pure rooms; the assets call these and report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from orchestration.judging.cache import DatabaseCache
from orchestration.judging.judge import Judge, build_judge, is_failure
from orchestration.matching.candidates import Candidate, find_candidates, find_candidates_for_new
from orchestration.matching.groups import (
    Group,
    MatchedPair,
    Member,
    event_groups,
    ladder_groups,
    linked_groups,
    pair_group,
)
from orchestration.matching.normalise import extract
from orchestration.matching.verdict import Verdict
from streams.market.identity import Venue
from streams.market.trading import PairState
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.discovered.listings import StoredMarket, load_markets
from streams.storage.discovered.sweeps import versions_after
from streams.storage.store.decisions.group_decisions import approve_groups_in_sandbox
from streams.storage.store.judge_answers import spent_today_usd
from streams.storage.store.market_groups import NewGroup, save_groups
from streams.storage.store.pairs import (
    NewCandidate,
    NewVerdict,
    PairRow,
    approve_in_sandbox,
    count_pairs_by_state,
    judged,
    list_pairs,
    load_candidates,
    propose_pairs,
    read_cursor,
    save_candidates,
    save_verdicts,
    write_cursor,
)

_VERDICT_BATCH = 200
_GROUPED_STATES = frozenset({"approved", "proposed", "paused", "lapsed"})


@dataclass
class CandidateSummary:
    """What blocking found."""

    kalshi: int = 0
    polymarket: int = 0
    candidates: int = 0


@dataclass
class VerdictSummary:
    """What the judge said of the candidates that had no verdict on their present texts."""

    judge: str
    by_relation: Counter[str] = field(default_factory=Counter)
    cached: int = 0
    failed: int = 0
    postponed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    @property
    def judged(self) -> int:
        """Verdicts written."""
        return sum(self.by_relation.values())


@dataclass
class PairSummary:
    """Pairs proposed or changed, decided by the sandbox itself, and all there are by state."""

    new: int
    changed: int
    approved: int
    retracted: int
    by_state: Mapping[PairState, int]


def refresh_candidates(connection: Connection, settings: Settings, *, only_new: bool) -> CandidateSummary:
    """Look for candidates of all open markets, or only for markets listed or changed since the last time."""
    after = read_cursor(connection, "candidates") if only_new else None
    highest, touched = versions_after(connection, after or 0)
    if after is not None and not touched:
        write_cursor(connection, "candidates", highest)
        return CandidateSummary()
    stored = load_markets(connection)
    markets = {(str(m.listing.venue), m.listing.market_id): m for m in stored}
    features = {key: extract(market.listing) for key, market in markets.items()}
    kalshi = [f for key, f in features.items() if key[0] == Venue.KALSHI]
    polymarket = [f for key, f in features.items() if key[0] == Venue.POLYMARKET]
    top, least = settings.candidates_per_market, settings.candidate_min_score
    if after is None:
        found = find_candidates(kalshi, polymarket, top=top, min_score=least)
    else:
        new_kalshi = [f for f in kalshi if (str(f.listing.venue), f.listing.market_id) in touched]
        new_polymarket = [f for f in polymarket if (str(f.listing.venue), f.listing.market_id) in touched]
        found = find_candidates(new_kalshi, polymarket, top=top, min_score=least)
        seen = {(c.kalshi_market_id, c.polymarket_market_id) for c in found}
        other = find_candidates_for_new(kalshi, new_polymarket, top=top, min_score=least)
        found += [c for c in other if (c.kalshi_market_id, c.polymarket_market_id) not in seen]
    save_candidates(connection, [_new_candidate(c, markets) for c in found])
    write_cursor(connection, "candidates", highest)
    return CandidateSummary(len(kalshi), len(polymarket), len(found))


def judge_candidates(
    connection: Connection, settings: Settings, *, only_new: bool, judge: Judge | None = None
) -> VerdictSummary:
    """Judge every candidate that has no verdict of this judge on its present texts."""
    judge = judge or build_judge(settings, DatabaseCache(connection), spent_today_usd(connection))
    after = read_cursor(connection, "verdicts") if only_new else None
    highest, touched = versions_after(connection, after or 0)
    summary = VerdictSummary(judge.version)
    if after is not None and not touched:
        write_cursor(connection, "verdicts", highest)
        return summary
    candidates = load_candidates(connection, None if after is None else [market_id for _, market_id in touched])
    ids = {market_id for row in candidates for market_id in (row.kalshi_market_id, row.polymarket_market_id)}
    markets = {(str(m.listing.venue), m.listing.market_id): m for m in load_markets(connection, market_ids=sorted(ids))}
    done = judged(connection, [row.candidate_id for row in candidates])
    open_questions = []
    for row in candidates:
        kalshi = markets.get((Venue.KALSHI, row.kalshi_market_id))
        polymarket = markets.get((Venue.POLYMARKET, row.polymarket_market_id))
        if kalshi is None or polymarket is None:
            continue  # it has closed since the candidates were read
        a, b = kalshi.listing, polymarket.listing
        digest = judge.hash_of(a, b)
        if (row.candidate_id, digest) not in done:
            open_questions.append((row.candidate_id, digest, a, b))
    for start in range(0, len(open_questions), _VERDICT_BATCH):
        batch = open_questions[start : start + _VERDICT_BATCH]
        rows = []
        answers = judge.judge([(a, b) for _, _, a, b in batch])
        for (candidate_id, digest, _, _), (_, verdict) in zip(batch, answers, strict=True):
            _count(summary, verdict)
            if verdict is not None and not is_failure(verdict):
                rows.append(_new_verdict(candidate_id, digest, verdict))
        save_verdicts(connection, rows)
    if not summary.failed and not summary.postponed:
        write_cursor(connection, "verdicts", highest)
    return summary


def update_pairs(connection: Connection, settings: Settings) -> PairSummary:
    """Propose a pair for each verdict that calls two markets the same contract; the sandbox approves itself."""
    new, changed = propose_pairs(connection, settings.venues)
    approved = retracted = 0
    if settings.venues == "sandbox":
        now = datetime.now(UTC)
        approved, retracted = approve_in_sandbox(connection, settings.sandbox_auto_approve_confidence, now)
    return PairSummary(new, changed, approved, retracted, count_pairs_by_state(connection))


def build_groups(connection: Connection, settings: Settings) -> tuple[Counter[str], int, int]:
    """Write all groups of markets that trade; returns (groups by kind, changed, ended).

    In the sandbox the ladders and events that may be traded are approved at once, and marked as such.
    """
    stored = load_markets(connection)
    members = [
        Member(extract(m.listing), m.terms.is_exclusive_event, m.expected_settle_time or m.listing.close_time)
        for m in stored
    ]
    by_ref = {member.ref: member for member in members}
    rows = list_pairs(connection)
    pairs = [_pair_group(pair, by_ref, settings) for pair in rows]
    groups = [group for group in pairs if group is not None]
    own = [*ladder_groups(members), *event_groups(members)]
    tradable = {group.group_id for group in groups if group.is_tradable}
    known = [_matched(pair) for pair in rows if f"pair:{pair.pair_id}" in tradable]
    groups += [*own, *linked_groups(own, known, members)]
    unique = {group.group_id: group for group in groups}
    changed, ended = save_groups(connection, [_new_group(g) for g in unique.values()], settings.venues)
    if settings.venues == "sandbox":
        approve_groups_in_sandbox(connection, datetime.now(UTC))
    return Counter(group.kind for group in unique.values()), changed, ended


def _pair_group(pair: PairRow, members: dict[tuple[str, str], Member], settings: Settings) -> Group | None:
    a = members.get(("kalshi", pair.kalshi_market_id))
    b = members.get(("polymarket", pair.polymarket_market_id))
    if a is None or b is None or pair.state not in _GROUPED_STATES:
        return None
    ends = [end for end in (a.resolves_at, b.resolves_at) if end is not None]
    return pair_group(
        _matched(pair),
        is_tradable=pair.state == "approved" or (pair.state == "proposed" and not settings.needs_approval),
        reason=f"the pair is {pair.state}",
        resolves_at=max(ends, default=None),
    )


def _matched(pair: PairRow) -> MatchedPair:
    title = pair.kalshi_title or pair.kalshi_market_id
    return MatchedPair(pair.pair_id, title, pair.kalshi_market_id, pair.polymarket_market_id, pair.polarity)


def _new_candidate(c: Candidate, markets: dict[tuple[str, str], StoredMarket]) -> NewCandidate:
    a = markets[Venue.KALSHI, c.kalshi_market_id]
    b = markets[Venue.POLYMARKET, c.polymarket_market_id]
    return NewCandidate(
        c.kalshi_market_id, c.polymarket_market_id, c.rank, c.score, c.reasons, a.text_hash, b.text_hash
    )


def _new_verdict(candidate_id: int, digest: str, v: Verdict) -> NewVerdict:
    return NewVerdict(
        candidate_id=candidate_id,
        content_hash=digest,
        judge=v.judge,
        relation=v.relation,
        same_contract=v.same_contract,
        polarity=v.polarity,
        confidence=v.confidence,
        differences=[difference.as_json() for difference in v.differences],
        basis_risk=v.basis_risk,
        explanation=v.explanation,
        is_cached=v.is_cached,
        input_tokens=v.input_tokens,
        output_tokens=v.output_tokens,
        cost_usd=v.cost_usd,
    )


def _new_group(group: Group) -> NewGroup:
    return NewGroup(
        group_id=group.group_id,
        kind=group.kind,
        title=group.title,
        markets=group.markets,
        outcomes=[list(outcome) for outcome in group.outcomes],
        is_tradable=group.is_tradable,
        reason=group.reason,
        resolves_at=group.resolves_at,
    )


def _count(summary: VerdictSummary, verdict: Verdict | None) -> None:
    if verdict is None:
        summary.postponed += 1
        return
    if is_failure(verdict):
        summary.failed += 1
        return
    summary.by_relation[verdict.relation] += 1
    summary.cached += verdict.is_cached
    summary.input_tokens += verdict.input_tokens
    summary.output_tokens += verdict.output_tokens
    summary.cost_usd += verdict.cost_usd
