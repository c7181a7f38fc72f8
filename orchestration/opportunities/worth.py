"""What a hedge is worth: its locked dollars less what they are expected to cost, for the days its capital is tied up.

A lock holds in the normal outcomes. Beside them every bundle has stress outcomes: a venue that voids its market,
results that differ between the venues, a tie. Each has a probability, a prior by category of market; none is optimised
for. PURE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from orchestration.opportunities.bundles import LegKey
from orchestration.opportunities.edges import Edge
from orchestration.opportunities.outcomes import OutcomeCase, normal_cases
from orchestration.opportunities.returns import annualised_return, days_between
from streams.market.documents import JsonDocument
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE, SIZE_SCALE

_HALF_E4 = PRICE_ONE_E4 // 2
_LEAST_DAYS = Decimal(1)


@dataclass(frozen=True, slots=True)
class StressPriors:
    """How likely stress outcomes are, each 0 to 1.

    Attributes:
        void: One venue voids its market and pays a half.
        differ: The venues settle one question apart, against us.
        tie: Everything pays a half.
        factors: By category of market in lower case, what all three are multiplied by; 1 where it is not named.
    """

    void: Decimal
    differ: Decimal
    tie: Decimal
    factors: Mapping[str, Decimal]

    def of(self, categories: Sequence[str]) -> tuple[Decimal, Decimal, Decimal]:
        """Return (void, differ, tie) for the markets of a bundle: the most careful of their categories counts."""
        factor = max((self.factors.get(category.lower(), Decimal(1)) for category in categories), default=Decimal(1))
        void, differ, tie = (min(prior * factor, Decimal(1)) for prior in (self.void, self.differ, self.tie))
        return void, differ, tie


@dataclass(frozen=True, slots=True)
class StressCase:
    """One way a bundle can settle outside of its normal outcomes.

    `payoff_e4`: the least that one contract of each leg pays together then.
    """

    name: str
    probability: Decimal
    payoff_e4: int


@dataclass(frozen=True, slots=True)
class StressLoss:
    """What a hedge loses in one stress outcome, in 1e-6 dollar."""

    name: str
    probability: Decimal
    loss_e6: int


@dataclass(frozen=True, slots=True)
class Worth:
    """What a hedge is expected to bring, in 1e-6 dollar.

    Attributes:
        locked_e6: Certain profit in the normal outcomes, fees as computed.
        fee_tail_e6: How much more the fees may be in pieces of one contract.
        leg_gap_e6: Expected cost of legs that do not fill as planned.
        stress: What it loses in each stress outcome.
        capital_e6: Cash that is tied up; 0 for an exit that frees more than it costs.
        days: Until the last cash is back, None where that is not known.
    """

    locked_e6: int
    fee_tail_e6: int
    leg_gap_e6: int
    stress: tuple[StressLoss, ...]
    capital_e6: int
    days: Decimal | None

    @property
    def stress_e6(self) -> int:
        """Expected loss in the stress outcomes."""
        expected = sum((case.probability * case.loss_e6 for case in self.stress), Decimal(0))
        return int(expected.to_integral_value(ROUND_CEILING))

    @property
    def stress_loss_e6(self) -> int:
        """Loss in the worst of them."""
        return max((case.loss_e6 for case in self.stress), default=0)

    @property
    def expected_e6(self) -> int:
        """Locked dollars less everything expected of them."""
        return self.locked_e6 - self.fee_tail_e6 - self.leg_gap_e6 - self.stress_e6

    @property
    def per_capital_day(self) -> Decimal | None:
        """Expected dollars per dollar and day tied up, for at least one day; None where the days are not known."""
        if self.days is None or self.capital_e6 <= 0:
            return None
        ratio = Decimal(self.expected_e6) / self.capital_e6 / self._counted_days
        return ratio.quantize(Decimal("0.00000001"), rounding=ROUND_FLOOR)

    @property
    def _counted_days(self) -> Decimal:
        return _LEAST_DAYS if self.days is None else max(self.days, _LEAST_DAYS)

    @property
    def annualised(self) -> Decimal | None:
        """Expected dollars per dollar and year, simple, as a ratio; None where the days are not known."""
        return None if self.days is None else annualised_return(self.expected_e6, self.capital_e6, self._counted_days)


def stress_cases(
    legs: Sequence[LegKey], cases: Sequence[OutcomeCase], priors: StressPriors, categories: Sequence[str]
) -> tuple[StressCase, ...]:
    """Return the stress outcomes of a bundle: a void on each venue, results that differ between venues, a tie.

    Args:
        legs: As ("venue:market_id", outcome).
        cases: The allowed outcomes of its group.
        priors: How likely each is.
        categories: Of the markets of the legs.
    """
    void, differ, tie = priors.of(categories)
    normal = normal_cases(cases)
    venues = sorted({_venue(market) for market, _ in legs})
    found = [
        StressCase(
            f"void on {venue}",
            void,
            min(sum(_HALF_E4 if _venue(m) == venue else case.pays(m, o) for m, o in legs) for case in normal),
        )
        for venue in venues
    ]
    if len(venues) > 1:
        apart = sum(min(sum(case.pays(m, o) for m, o in legs if _venue(m) == v) for case in normal) for v in venues)
        found.append(StressCase("results that differ", differ, apart))
    found.append(StressCase("tie", tie, _HALF_E4 * len(legs)))
    return tuple(found)


def closing_e6(legs: Sequence[LegKey], held_e6: Mapping[LegKey, int]) -> int:
    """Return how many contracts of a bundle would close what is held: every leg meets the other outcome of its market.

    Such a bundle is an exit: what it buys and what is held pay a dollar in every outcome, so its profit is settled.

    Args:
        legs: What would be bought.
        held_e6: Contracts of the group's hedges by (market, outcome).
    """

    def met(market: str, outcome: Outcome) -> int:
        other: Outcome = "no" if outcome == "yes" else "yes"
        return max(0, held_e6.get((market, other), 0) - held_e6.get((market, outcome), 0))

    return min(met(market, outcome) for market, outcome in legs)


def worth_of(
    edge: Edge,
    stress: Sequence[StressCase],
    leg_gap_usd: Decimal,
    now: datetime,
    back: datetime | None,
    released_e6: int = 0,
) -> Worth:
    """Return what a bundle is worth at the size of an edge.

    Args:
        edge: What would be bought.
        stress: Its stress outcomes.
        leg_gap_usd: Expected cost of legs that do not fill as planned, dollars a contract.
        now: The moment.
        back: When the last cash is expected back; None where it is not known.
        released_e6: Cash that comes back at once with its fills: that of an exit, where the venue pays couples early.
    """
    capital = edge.cost_e6 + edge.fee_e6
    contracts = Decimal(edge.size_e6) / SIZE_SCALE
    return Worth(
        locked_e6=edge.profit_e6,
        fee_tail_e6=sum(leg.fee_bound_e6 - leg.fee_e6 for leg in edge.legs),
        leg_gap_e6=int((leg_gap_usd * contracts).scaleb(6).to_integral_value(ROUND_CEILING)),
        stress=tuple(
            StressLoss(case.name, case.probability, max(capital - case.payoff_e4 * edge.size_e6 // PRICE_SCALE, 0))
            for case in stress
        ),
        capital_e6=max(capital - released_e6, 0),
        days=None if back is None else days_between(now, back),
    )


def worth_to_json(worth: Worth) -> JsonDocument:
    """Return it as it is kept beside a plan, with what follows from it; decimals as strings."""
    return {
        "locked_e6": worth.locked_e6,
        "fee_tail_e6": worth.fee_tail_e6,
        "leg_gap_e6": worth.leg_gap_e6,
        "stress": [
            {"name": case.name, "probability": f"{case.probability:f}", "loss_e6": case.loss_e6}
            for case in worth.stress
        ],
        "stress_e6": worth.stress_e6,
        "expected_e6": worth.expected_e6,
        "capital_e6": worth.capital_e6,
        "days": None if worth.days is None else f"{worth.days:.4f}",
        "annualised": None if worth.annualised is None else f"{worth.annualised:f}",
    }


def _venue(market: str) -> str:
    return market.partition(":")[0]
