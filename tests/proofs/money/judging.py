"""What a run of trading is required to bring, from its trades and what an oracle would have had. PURE."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tests.proofs.money.bootstrap import interval
from tests.proofs.money.oracle import Capture
from tests.proofs.money.trades import Trade, total
from tests.proofs.table import Table

LEAST_TRADES = 20
LEAST_SHARE = Decimal("0.95")
LEAST_CAPTURE = Decimal("0.80")
MOST_LOST = Decimal("-0.001")
"""In `harsh`, of the dollars bought."""


@dataclass(frozen=True, slots=True)
class LegLoss:
    """What was paid beyond the plan by one kind of purchase: which leg, at which venue, for what purpose."""

    leg: str
    orders: int
    beyond_e6: int


def judge_trades(table: Table, trades: Sequence[Trade], scenario: str) -> None:
    """Judge all trades of a run that have ended; those that bought nothing count for the bridge's agreement alone."""
    bought = [trade for trade in trades if trade.is_bought]
    table.least("trades that bought anything", len(bought), LEAST_TRADES)
    _judge_share(table, bought, scenario)
    _judge_result(table, bought, scenario)
    beyond = [trade.execution_id for trade in bought if trade.is_beyond_budget]
    table.check("trades exposed beyond their budget", "0", beyond or 0, not beyond)
    differing = [f"{trade.execution_id}: {'; '.join(trade.differences)}" for trade in trades if trade.differences]
    table.check(
        "trades whose orders, marts and ledger differ by a millionth",
        f"0 of {len(trades)}",
        differing or 0,
        not differing,
    )
    for name, amount in total(bought).items():
        table.figures[f"bridge: {name}"] = usd(amount)
    table.figures["bridge: cash so far"] = usd(sum(trade.cash_e6 for trade in bought))


def _judge_share(table: Table, bought: Sequence[Trade], scenario: str) -> None:
    good = sum(trade.is_as_planned for trade in bought)
    share = Decimal(good) / len(bought) if bought else Decimal(0)
    what = "locked not worse than planned by more than a tick a leg or a quarter of the edge"
    found = f"{good} of {len(bought)} ({share:.1%})"
    if scenario == "harsh":
        table.figures[what] = found
    else:
        table.check(what, f">= {LEAST_SHARE:.0%}", found, share >= LEAST_SHARE)
    for_size = sum(trade.is_as_planned_for_its_size for trade in bought)
    table.figures["the same of the contracts that were bought alone"] = f"{for_size} of {len(bought)}"
    by_end: dict[str, list[Trade]] = defaultdict(list)
    for trade in bought:
        by_end[trade.ended_as].append(trade)
    for end, mine in sorted(by_end.items()):
        table.figures[f"ended {end}"] = (
            f"{len(mine)}, {sum(trade.is_as_planned for trade in mine)} as planned, planned"
            f" {usd(sum(trade.planned_e6 for trade in mine))}, locked {usd(sum(trade.locked_e6 for trade in mine))}"
        )


def _judge_result(table: Table, bought: Sequence[Trade], scenario: str) -> None:
    results = [trade.result_e6 for trade in bought]
    spent = sum(trade.bought_e6 for trade in bought)
    result, (low, high) = sum(results), interval(results)
    found = f"{usd(result)} on {usd(spent)} bought; 95 %: {usd(low)} to {usd(high)}"
    least = int(MOST_LOST * spent)
    if scenario == "harsh":
        table.check("result", f">= -0.1 % of dollars bought ({usd(least)})", found, bool(bought) and result >= least)
    else:
        table.check("result", "> $0", found, result > 0)


def judge_capture(table: Table, found: Capture, reasons: Mapping[int, str]) -> None:
    """Judge the share of what an oracle would have had.

    Args:
        table: Where it goes.
        found: Ours beside the oracle's.
        reasons: Why we bought nothing, by the number of the missed execution.
    """
    share = found.share
    shown = "nothing to take" if share is None else f"{share:.2f} ({usd(found.ours_e6)} of {usd(found.oracle_e6)})"
    table.check("captured of the oracle", f">= {LEAST_CAPTURE}", shown, share is not None and share >= LEAST_CAPTURE)
    table.figures["dislocations both took"] = f"{found.met}: oracle {usd(found.met_e6)}, ours {usd(found.met_ours_e6)}"
    count: Counter[str] = Counter()
    dollars: Counter[str] = Counter()
    for number, taking in enumerate(found.missed):
        count[reasons[number]] += 1
        dollars[reasons[number]] += taking.profit_e6
    for reason, lost in dollars.most_common(8):
        table.figures[f"oracle alone: {reason}"] = f"{count[reason]}, {usd(lost)}"


def judge_control(table: Table, trades: Sequence[Trade]) -> None:
    """Judge a run in which there is nothing to trade."""
    bought = [trade.execution_id for trade in trades if trade.is_bought]
    table.check("trades", "0", bought or 0, not bought)


def leg_losses(trades: Sequence[Trade]) -> list[LegLoss]:
    """Return what purchases cost beyond the plan's average price of their leg, dearest kind first."""
    orders: Counter[str] = Counter()
    beyond: Counter[str] = Counter()
    for trade in trades:
        plan = {leg.leg_no: leg for leg in trade.plan.legs}
        for order in trade.orders:
            if not order.is_buy or not order.filled_e6:
                continue
            leg = plan[order.leg_no]
            name = f"leg {order.leg_no + 1} of {len(plan)}, {leg.venue}, {order.purpose}"
            orders[name] += 1
            beyond[name] += order.cash_e6 - leg.cost_e6 * order.filled_e6 // trade.plan.size_e6
    return [LegLoss(name, orders[name], amount) for name, amount in beyond.most_common()]


def usd(amount_e6: int) -> str:
    """Return an amount in dollars and cents, with its sign in front."""
    return f"{'-' if amount_e6 < 0 else ''}${abs(Decimal(amount_e6)) / 1_000_000:,.2f}"
