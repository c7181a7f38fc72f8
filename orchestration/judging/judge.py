"""The choice of the judge: the language model where a key is set, else the rules. A failure never approves a pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

from orchestration.judging.budget import Budget
from orchestration.judging.cache import AnswerCache
from orchestration.judging.llm import Answered, LanguageModelJudge, UnusableAnswer
from orchestration.judging.schema import verdict_of
from orchestration.matching.normalise import Features, extract
from orchestration.matching.rules_judge import RULES_VERSION, judge_by_rules, judge_features
from orchestration.matching.verdict import Verdict, content_hash
from streams.market.errors import StreamsError
from streams.market.listing import Listing
from streams.settings import Settings

Question = tuple[Listing, Listing]
_NOT_ASKED = frozenset({"unrelated"})
"""Relations the rules are sure enough of to spare the question."""


class Judge:
    """Judges pairs.

    Args:
        model: The language model; None judges by rules.
        cache: Where its answers are kept.
        budget: What it may still spend today.
        concurrency: Questions asked at once.
    """

    def __init__(self, model: LanguageModelJudge | None, cache: AnswerCache, budget: Budget, concurrency: int) -> None:
        self._model = model
        self._cache = cache
        self._budget = budget
        self._concurrency = concurrency

    @property
    def version(self) -> str:
        """The version of the judge: whatever decides a verdict besides the texts."""
        return self._model.version if self._model else RULES_VERSION

    def hash_of(self, a: Listing, b: Listing) -> str:
        """Return the content hash of a question to this judge."""
        return content_hash(a, b, self.version)

    def judge(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Verdict | None]]:
        """Yield (question, verdict) in order; None where the model could not be asked now (ask again later)."""
        if self._model is None:
            known: dict[tuple[str, str], Features] = {}
            for a, b in questions:
                yield (a, b), judge_features(_features(a, known), _features(b, known))
            return
        with ThreadPoolExecutor(max_workers=self._concurrency) as pool:
            waiting = [(question, self._start(pool, self._model, question)) for question in questions]
            for question, answer in waiting:
                yield question, self._finish(question, answer())

    def _start(
        self, pool: ThreadPoolExecutor, model: LanguageModelJudge, question: Question
    ) -> Callable[[], Verdict | Answered | None]:
        """Begin one question; what is returned waits for its outcome. The cache is used by the calling thread only."""
        by_rules = judge_by_rules(*question)
        if by_rules.relation in _NOT_ASKED:
            return lambda: by_rules
        known = self._cache.get(self.hash_of(*question))
        if known is not None:
            verdict = verdict_of(known.answer, model.model, is_cached=True)
            return lambda: verdict
        if self._cache.has_failed_today(self.hash_of(*question)):
            failed = _failed(model.model, "the model had no usable answer to these texts today")
            return lambda: failed
        reserved = model.estimate_usd(*question)
        if not self._budget.reserve(reserved):
            return lambda: None
        return pool.submit(self._ask, model, question, reserved).result

    def _ask(self, model: LanguageModelJudge, question: Question, reserved: Decimal) -> Verdict | Answered:
        spent = Decimal(0)
        try:
            answered = model.ask(*question)
            spent = answered.cost_usd
            return answered
        except UnusableAnswer as error:
            spent = error.cost_usd
            return replace(_failed(model.model, str(error)), cost_usd=spent)
        except StreamsError as error:
            return _failed(model.model, str(error))
        finally:
            self._budget.settle(reserved, spent)

    def _finish(self, question: Question, outcome: Verdict | Answered | None) -> Verdict | None:
        if outcome is None:
            return None
        if isinstance(outcome, Verdict):
            if outcome.cost_usd:
                self._cache.note_failure(self.hash_of(*question), outcome.judge, outcome.explanation, outcome.cost_usd)
            return outcome
        assert self._model is not None
        self._cache.put(self.hash_of(*question), self._model.model, outcome)
        return verdict_of(
            outcome.answer,
            self._model.model,
            tokens=(outcome.input_tokens, outcome.output_tokens),
            cost_usd=outcome.cost_usd,
        )


def _failed(model: str, why: str) -> Verdict:
    return Verdict("uncertain", None, Decimal(0), model, basis_risk="no verdict: the judge failed", explanation=why)


def _features(listing: Listing, known: dict[tuple[str, str], Features]) -> Features:
    """Extract the features of a listing once per batch: most markets stand in several candidates."""
    key = (str(listing.venue), listing.market_id)
    if key not in known:
        known[key] = extract(listing)
    return known[key]


def build_judge(settings: Settings, cache: AnswerCache, spent_usd: Decimal) -> Judge:
    """Return the judge the settings ask for: the language model where a key is set, else the rules."""
    model = LanguageModelJudge(settings) if settings.openai_api_key is not None else None
    return Judge(model, cache, Budget(settings.judge_daily_budget_usd, spent_usd), settings.judge_concurrency)


def is_failure(verdict: Verdict) -> bool:
    """Whether a verdict only says that the judge failed; its question is asked again."""
    return verdict.confidence == 0 and verdict.relation == "uncertain" and verdict.basis_risk.startswith("no verdict:")
