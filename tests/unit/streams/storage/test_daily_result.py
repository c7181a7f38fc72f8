"""The day's result: what is only locked counts as nothing, a loss whole, and what is not hedged as lost."""

from __future__ import annotations

import pytest

from orchestration.execution.decide.gate.registry import judge
from streams.storage.store.gate.daily_result import DayLot, LotFigures, TradeDay, result_of
from tests.golden.execution.gate import ALLOWED, limits
from tests.golden.execution.stage_gate import gate_facts

YES, NO = (10_000, 0), (0, 10_000)
NOTHING = LotFigures()
SIZE = 50_000_000


def bought(cost_e6: int, *, held_e6: int = SIZE) -> LotFigures:
    return LotFigures(-cost_e6, held_e6)


def settled(cost_e6: int, payout_e6: int) -> LotFigures:
    return LotFigures(payout_e6 - cost_e6, 0, SIZE, payout_e6)


def hedge(
    yes: LotFigures, no: LotFigures, before: tuple[LotFigures, LotFigures] = (NOTHING, NOTHING), **more: int
) -> TradeDay:
    """A hedge that somebody works on if `open`, that is escalated if `escalated`."""
    lots = (DayLot(YES, yes, before[0]), DayLot(NO, no, before[1]))
    is_open = bool(more.get("open"))
    return TradeDay(lots, is_open, is_open or bool(more.get("escalated")), more.get("unknown", 0), more.get("bound", 0))


def test_two_hedges_that_lock_a_loss_leave_no_room_for_a_third() -> None:
    """Limit 1.00, hedges that lock -0.40 each, bound 0.30: two open, the third is refused."""
    losing = hedge(bought(23_000_000), bought(27_400_000))
    refused = []
    for number in range(3):
        day = result_of([losing] * number)
        assert day == -400_000 * number
        wide = limits(50_000_000, 10**9, 10**9, 10**9)
        case = {"day_result_e6": day, "daily_loss_limit_e6": 1_000_000, "loss_bound_e6": 300_000, "limits_e6": wide}
        refusal = judge(gate_facts({**ALLOWED, **case})).refusal
        refused.append(None if refusal is None else str(refusal.reason))
    assert refused == [None, None, "daily_loss"]


LOCKED = (bought(22_500_000), bought(26_500_000))
"""Locks 1.00."""


@pytest.mark.parametrize(
    ("trade", "result_e6"),
    [
        pytest.param(hedge(*LOCKED), 0, id="a locked profit is nothing until it settles"),
        pytest.param(hedge(settled(22_500_000, SIZE), settled(26_500_000, 0)), 1_000_000, id="settled today"),
        pytest.param(hedge(settled(22_500_000, SIZE), settled(26_500_000, 0), LOCKED), 1_000_000, id="next day"),
        pytest.param(hedge(*LOCKED, LOCKED), 0, id="held over midnight"),
        pytest.param(hedge(settled(22_500_000, 0), LOCKED[1]), 0, id="half of it has settled, at nothing"),
        pytest.param(hedge(settled(22_500_000, SIZE), LOCKED[1]), 0, id="half of it has settled, with all"),
        pytest.param(hedge(settled(22_500_000, 25_000_000), LOCKED[1]), -24_000_000, id="one venue voids"),
        pytest.param(hedge(bought(22_500_000), NOTHING, open=1), -22_500_000, id="one leg, worked on"),
        pytest.param(hedge(bought(22_500_000), NOTHING, escalated=1), -22_500_000, id="one leg, escalated"),
        pytest.param(
            hedge(bought(22_500_000), NOTHING, (bought(22_500_000), NOTHING), escalated=1),
            -22_500_000,
            id="escalated since yesterday: it may still be lost",
        ),
        pytest.param(hedge(NOTHING, NOTHING, open=1, bound=300_000), -300_000, id="nothing filled yet"),
        pytest.param(hedge(NOTHING, NOTHING, escalated=1, unknown=5_000_000), -5_000_000, id="an unknown order"),
        pytest.param(
            hedge(bought(22_500_000), NOTHING, open=1, bound=300_000, unknown=27_000_000), -49_500_000, id="both"
        ),
        pytest.param(hedge(LotFigures(-350_000, 0), NOTHING), -350_000, id="bought and unwound"),
        pytest.param(
            hedge(bought(23_000_000), bought(27_400_000), (bought(23_000_000), bought(27_400_000))),
            0,
            id="yesterday's locked loss is yesterday's",
        ),
        pytest.param(
            hedge(settled(23_000_000, 0), settled(27_400_000, SIZE), (bought(23_000_000), bought(27_400_000))),
            0,
            id="and so it is when it settles",
        ),
        pytest.param(
            hedge(*LOCKED, (settled(22_500_000, SIZE), LOCKED[1])), 0, id="a result taken back counts no profit"
        ),
    ],
)
def test_a_trade_counts(trade: TradeDay, result_e6: int) -> None:
    assert result_of([trade]) == result_e6
