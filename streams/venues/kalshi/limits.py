"""Kalshi's request budget: token buckets for reads and for writes, charged by endpoint, shared by all processes.

Each exchange shard has a write bucket of its own beside the unscoped one. An order write that names one above 0 is
charged there, one that names shard 0 and every batch to the unscoped bucket, and one the venue routes by ticker to all
of them.

Source: rate limits page of 2026-09-22, `GET /account/limits`, `GET /account/endpoint_costs` as recorded in June 2026.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from streams.market.errors import InvalidAmount
from streams.venues.common.decimals import plain_decimal
from streams.venues.common.token_buckets import Entries, Ledger, MemoryLedger, TokenBucket, acquire_together, calls_left

Routing = Literal["by_ticker", "unscoped"] | int
"""How a write reaches its exchange shard: routed by the venue, without one (batches, shard 0), or one above 0."""

DEFAULT_COST = 10.0
UNSIGNED_READS_PER_S = 3.0
"""Unsigned reads share an undocumented limit per address; 4 to 5 a second already drew refusals in September 2026."""
# A call is charged at the venue when it gets there: an order takes 20 to 80 ms, a burst of reads longer.
_IN_FLIGHT_S = 0.5
# Shards known in November 2026; more of them only make our own counting coarser.
_SHARDS = (1, 2, 3)
_LEAST_TOKENS, _MOST_TOKENS = 1.0, 1e12
"""What a bucket holds, and what it refills in a second. With less of it a call would wait for hours."""
_MOST_COST = 1_000.0
_MOST_COSTS = 30
"""So many listed costs have room in the page that all processes share."""
_TERMS_AGE_S = 3600.0
_RETRY_AGE_S = 60.0
# Method and path below the base; ":name" is any one part. What the venue lists is put over it.
_LISTED_COSTS = {
    "DELETE /portfolio/events/orders": 2.0,
    "DELETE /portfolio/events/orders/:order_id": 2.0,
    "DELETE /portfolio/events/orders/batched": 2.0,
    "GET /portfolio/orders/:order_id": 2.0,
    # A route of its own, which the pattern above would take for an order.
    "GET /portfolio/orders/queue_positions": DEFAULT_COST,
}


@dataclass(frozen=True, slots=True)
class BucketTerms:
    """How fast a bucket refills (tokens a second) and how much it holds."""

    refill_per_s: float
    capacity: float

    @classmethod
    def of(cls, refill: Any, capacity: Any) -> BucketTerms:
        """Return the terms of two JSON numbers; raises InvalidAmount where they are none, or let nothing through."""
        terms = cls(float(plain_decimal(refill)), float(plain_decimal(capacity)))
        if not all(_LEAST_TOKENS <= tokens <= _MOST_TOKENS for tokens in (terms.refill_per_s, terms.capacity)):
            raise InvalidAmount(f"a bucket of no use: {str(refill)[:40]} a second, {str(capacity)[:40]} at most")
        return terms


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What an account may do, as `GET /account/limits` says."""

    tier: str
    reads: BucketTerms
    writes: BucketTerms
    grants: tuple[dict[str, Any], ...]
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EndpointCosts:
    """What calls cost in tokens, as `GET /account/endpoint_costs` says; `costs` by "METHOD /path/:name"."""

    default: float
    costs: dict[str, float]
    payload: dict[str, Any]


BASIC = AccountLimits("basic", BucketTerms(200.0, 600.0), BucketTerms(100.0, 100.0), (), {})
"""What is assumed where the venue does not say: the lowest tier."""


def parse_limits(document: dict[str, Any]) -> AccountLimits:
    """Return the limits of a response; raises KeyError, InvalidAmount or ValueError where it is not one."""
    return AccountLimits(
        tier=str(document.get("usage_tier") or ""),
        reads=_terms(document["read"]),
        writes=_terms(document["write"]),
        grants=tuple(document.get("grants") or ()),
        payload=document,
    )


def _terms(entry: dict[str, Any]) -> BucketTerms:
    return BucketTerms.of(entry["refill_rate"], entry["bucket_capacity"])


def parse_costs(document: dict[str, Any], base_path: str = "/trade-api/v2") -> EndpointCosts:
    """Return the costs of a response, by paths below `base_path`; raises KeyError or ValueError where it is not one."""
    return EndpointCosts(
        default=_cost(document["default_cost"]),
        costs={
            f"{entry['method']} {str(entry['path']).removeprefix(base_path)}": _cost(entry["cost"])
            for entry in document.get("endpoint_costs") or []
        },
        payload=document,
    )


def _cost(value: Any) -> float:
    cost = float(plain_decimal(value))
    if not 0 <= cost <= _MOST_COST:
        raise InvalidAmount(f"no cost of a call: {str(value)[:40]}")
    return cost


class KalshiLimits:
    """The buckets of one key, or the slow one of readers without a key.

    Args:
        is_signed: Whether calls carry a key.
        ledger: Where tokens are counted; a file shares them with other processes. Default: this object alone.
        account: What the account may do until the venue has reported it; default the lowest tier.
        unsigned_reads_per_s: Reads a second of the address without a key.
        monotonic: Seconds of a clock all users of the ledger share.
    """

    def __init__(
        self,
        *,
        is_signed: bool,
        ledger: Ledger | None = None,
        account: AccountLimits = BASIC,
        unsigned_reads_per_s: float = UNSIGNED_READS_PER_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger or MemoryLedger()
        self._monotonic = monotonic
        self._is_signed = is_signed
        self._listed: dict[str, float] = {}
        self._default = DEFAULT_COST
        self._costs = _Costs(_LISTED_COSTS)
        if not is_signed:
            rate = unsigned_reads_per_s * DEFAULT_COST
            account = AccountLimits("unsigned", BucketTerms(rate, max(rate, DEFAULT_COST)), BASIC.writes, (), {})
        self._reads = self._bucket("read", account.reads)
        self._writes = {shard: self._bucket(f"write:{shard}", account.writes) for shard in (0, *_SHARDS)}
        # Not asked for without a key, and asked for at once with one.
        self._fresh_until = monotonic() if is_signed else float("inf")

    @classmethod
    def unlimited(cls) -> KalshiLimits:
        """Buckets that never make anyone wait and never ask the venue: for tests of other things."""
        limits = cls(is_signed=True, account=AccountLimits("", BucketTerms(1e9, 1e9), BucketTerms(1e9, 1e9), (), {}))
        limits._fresh_until = float("inf")
        return limits

    def is_due(self) -> bool:
        """Return whether the venue should be asked (again) what the account may do: nobody here did lately."""
        return self._monotonic() >= self._fresh_until and not self._recall()

    def learn(self, account: AccountLimits | None, costs: EndpointCosts | None) -> None:
        """Take over what the venue reported, for all users of the ledger; None where it did not.

        Without an account the venue is asked again soon; costs that it did not say stay as they were.
        """
        if account is None:
            self._fresh_until = self._monotonic() + _RETRY_AGE_S
            return
        default, listed = (costs.default, _worth_keeping(costs)) if costs else (self._default, self._listed)
        terms = [
            account.reads.refill_per_s,
            account.reads.capacity,
            account.writes.refill_per_s,
            account.writes.capacity,
        ]
        note = {"at": self._monotonic(), "terms": terms, "default": default, "costs": listed}
        with self._ledger.open() as entries:
            entries["account"] = note
        self._apply(note)

    async def acquire(
        self,
        method: str,
        path: str,
        *,
        items: int = 1,
        routing: Routing = "by_ticker",
        deadline: float | None = None,
    ) -> None:
        """Wait for room for one call.

        Args:
            method: HTTP method; GET is a read, anything else a write.
            path: Path below the base.
            items: Orders of a batch; each costs what one would, and the venue takes a batch whole or not at all.
            routing: How a write reaches its exchange shard.
            deadline: When it is of no use any more (monotonic seconds); None waits for ever.

        Raises:
            TooLate: If its turn would come after the deadline.
            InvalidAmount: If a batch costs more than the bucket can ever hold; nothing is taken.
        """
        cost = self._costs.of(method, path) * items
        buckets = [self._reads] if method == "GET" else self._charged(routing)
        if items > 1 and cost > min(bucket.capacity for bucket in buckets):
            raise InvalidAmount(f"{items} orders in one batch cost {cost:g} tokens, more than the bucket holds")
        await acquire_together([(bucket, cost) for bucket in buckets], deadline)

    def left(self, method: str, path: str, routing: Routing = "by_ticker") -> int:
        """Return how many such calls could be made now without a wait.

        Raises:
            TransientError: If what is counted cannot be read.
        """
        buckets = [self._reads] if method == "GET" else self._charged(routing)
        return calls_left([(bucket, self._costs.of(method, path)) for bucket in buckets])

    def refused(self, method: str, routing: Routing = "by_ticker") -> None:
        """The venue responded 429: start from empty buckets."""
        for bucket in [self._reads] if method == "GET" else self._charged(routing):
            bucket.drain()

    def _charged(self, routing: Routing) -> Iterable[TokenBucket]:
        if routing == "by_ticker":
            return list(self._writes.values())
        shard = 0 if routing == "unscoped" else routing
        if shard not in self._writes:
            # An exchange shard we do not know: as large as the others.
            self._writes[shard] = self._bucket(
                f"write:{shard}", BucketTerms(self._writes[0].rate, self._writes[0].capacity)
            )
        return [self._writes[shard]]

    def _bucket(self, name: str, terms: BucketTerms) -> TokenBucket:
        lag_s = _IN_FLIGHT_S if self._is_signed else 0.0
        return TokenBucket(
            terms.refill_per_s, terms.capacity, self._monotonic, ledger=self._ledger, name=name, lag_s=lag_s
        )

    def _recall(self) -> bool:
        """Take over what another process learned lately; return whether there was something."""
        with self._ledger.open() as entries:
            note: Entries | None = entries.get("account")
        try:
            if note is None or not 0 <= self._monotonic() - float(note["at"]) < _TERMS_AGE_S:
                return False
            self._apply(note)
        except (InvalidAmount, KeyError, TypeError, ValueError, AttributeError):
            return False  # not a note: the page was torn
        return True

    def _apply(self, note: Entries) -> None:
        read_rate, read_capacity, write_rate, write_capacity = note["terms"]
        reads, writes = BucketTerms.of(read_rate, read_capacity), BucketTerms.of(write_rate, write_capacity)
        listed = {str(name): _cost(cost) for name, cost in note["costs"].items()}
        default, fresh_until = _cost(note["default"]), float(note["at"]) + _TERMS_AGE_S
        self._reads.rate, self._reads.capacity = reads.refill_per_s, reads.capacity
        for bucket in self._writes.values():
            bucket.rate, bucket.capacity = writes.refill_per_s, writes.capacity
        self._listed, self._default = listed, default
        self._costs = _Costs(_LISTED_COSTS | listed, default)
        self._fresh_until = fresh_until


class _Costs:
    """Costs by method and path; a pattern with more fixed parts wins."""

    def __init__(self, costs: dict[str, float], default: float = DEFAULT_COST) -> None:
        self._default = default
        self._patterns: dict[tuple[str, int], list[tuple[list[str], float]]] = {}
        for name, cost in costs.items():
            method, _, path = name.partition(" ")
            parts = path.split("/")
            self._patterns.setdefault((method, len(parts)), []).append((parts, cost))
        for patterns in self._patterns.values():
            patterns.sort(key=lambda entry: sum(part.startswith(":") for part in entry[0]))

    def of(self, method: str, path: str) -> float:
        """Return what a call costs."""
        parts = path.split("/")
        for pattern, cost in self._patterns.get((method, len(parts)), ()):
            if all(ours == theirs or theirs.startswith(":") for ours, theirs in zip(parts, pattern, strict=True)):
                return cost
        return self._default


def _worth_keeping(costs: EndpointCosts) -> dict[str, float]:
    """Return the listed costs that tell something: of calls this client makes, the dearest where there are many.

    Those that we would assume to cost something else come first.
    """
    telling = {
        name: cost
        for name, cost in costs.costs.items()
        if _is_ours(name) and cost != _LISTED_COSTS.get(name, costs.default)
    }
    dearest = sorted(telling, key=lambda name: (name not in _LISTED_COSTS, -telling[name]))
    return {name: telling[name] for name in dearest[:_MOST_COSTS]}


def _is_ours(name: str) -> bool:
    """Whether a listed endpoint is one this client calls."""
    path = name.partition(" ")[2]
    return path.startswith(("/portfolio/", "/markets", "/events", "/series", "/exchange", "/historical", "/account"))
