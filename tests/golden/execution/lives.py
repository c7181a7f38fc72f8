"""Lives of trades, from the signal to the last row, each on a database of its own."""

from __future__ import annotations

from tests.golden.execution import recordings
from tests.golden.execution.stage import Plain
from tests.golden.execution.stage_database import Faults, Life, Story, live, record, watch_pair


async def hedged_and_settled(life: Life) -> None:
    life.quote()
    life.confirm(now=False)
    await life.trade()
    await life.rounds()
    life.confirm(now=True)
    await life.rounds(2)
    life.settle(10_000)
    await life.rounds(2)


async def netted_and_paid_in_part(life: Life) -> None:
    life.quote()
    await life.trade()
    life.quote(edge_e4=-400)
    await life.trade("no", "yes")
    await life.rounds(2)
    life.settle(3_700)
    await life.rounds()


async def traded(life: Life) -> None:
    life.quote(depth_e6=100_000_000)
    await life.trade()
    await life.rounds(3)


async def unwound_for_want_of_offers(life: Life) -> None:
    life.quote(depth_e6=100_000_000)
    life.venues["polymarket"].after_send = lambda: life.take_offers("kalshi", "yes")
    await life.trade()
    await life.rounds(2)


async def settlement_failed_and_reversed(life: Life) -> None:
    life.quote(depth_e6=100_000_000)
    life.confirm(now=False)
    await life.trade()
    life.confirm(now=True)
    await life.rounds(4)
    life.settle(0)
    await life.rounds(2)


async def flattened(life: Life) -> None:
    life.quote()
    await life.trade()
    await life.rounds()
    life.quote(depth_e6=100_000_000)
    life.flatten(1)
    await life.rounds(3)


async def flattened_under_a_kill_and_again(life: Life) -> None:
    life.quote()
    await life.trade()
    life.quote(depth_e6=100_000_000)
    life.switch("kill")
    life.flatten(1)
    await life.rounds(2)
    life.switch("reduce")
    life.flatten(1)
    await life.rounds(2)
    life.settle(10_000)
    await life.rounds()


async def killed_midway(life: Life) -> None:
    life.quote()
    life.venues["polymarket"].after_send = lambda: life.switch("kill")
    await life.trade()
    await life.rounds(2)
    life.venues["polymarket"].after_send = None
    life.switch("run")
    life.quote(depth_e6=100_000_000)
    life.flatten(1)
    await life.rounds(2)


async def reduced_midway(life: Life) -> None:
    life.quote(depth_e6=9_370_000)
    life.venues["polymarket"].after_send = lambda: life.switch("reduce")
    await life.trade()
    await life.trade()
    await life.rounds()


async def given_up_and_filled_after_all(life: Life) -> None:
    life.quote(depth_e6=100_000_000)
    life.confirm(now=False)
    await life.trade()
    life.confirm(now=True)
    await life.rounds(4)


async def refused(life: Life) -> None:
    life.quote(depth_e6=100_000_000)
    life.watch("kalshi")
    for state in ("pause", "reduce", "kill", "run"):
        await life.trade()
        life.switch(state)
    await life.rounds()
    for decision in ("reject", "pause", "approve"):
        life.decide(decision)
        await life.trade()
    life.decide("approve", "other texts")
    await life.trade()
    life.decide("approve")
    life.quote(edge_e4=0)
    await life.trade()
    life.quote(depth_e6=100_000_000)
    for name, value in (("order_contracts", "1"), ("order_contracts", "50"), ("total_usd", "0"), ("total_usd", "2000")):
        life.limit(name, value)
        await life.trade()
    life.execute("UPDATE raw.market_versions SET close_time = now() + interval '2 seconds'")
    life.decide("approve")
    await life.trade()
    life.execute("UPDATE raw.market_versions SET close_time = NULL")
    life.decide("approve")
    life.execute(
        """INSERT INTO trading.leases (name, holder, epoch, acquired_at, heartbeat_at, expires_at)
           VALUES ('market:kalshi:KXTEST-1', 'other', 7, now(), now(), now() + interval '1 hour')
           ON CONFLICT (name) DO UPDATE SET holder = 'other', released_at = NULL, expires_at = EXCLUDED.expires_at"""
    )
    await life.trade()


async def on_paper(life: Life) -> None:
    life.quote(depth_e6=100_000_000)
    await life.trade()
    await life.rounds()
    life.settle(10_000, is_known=True)
    await life.rounds()


STORIES: dict[str, tuple[Story, Faults]] = {
    "hedged_and_settled": (hedged_and_settled, {}),
    "netted_and_paid_in_part": (netted_and_paid_in_part, {}),
    "first_leg_filled_in_part": (traded, {"polymarket": {"vanish": [1]}}),
    "second_leg_filled_in_part": (traded, {"kalshi": {"vanish": [1]}}),
    "unwound_after_a_refusal": (traded, {"kalshi": {"reject": [1, 2, 3, 4, 5, 6]}}),
    "unwound_for_want_of_offers": (unwound_for_want_of_offers, {}),
    "first_leg_refused": (traded, {"polymarket": {"reject": [1]}}),
    "answers_and_orders_lost": (traded, {"polymarket": {"lost_response": [1]}, "kalshi": {"lost_request": [1]}}),
    "shown_late": (traded, {"polymarket": {"late": [1]}, "kalshi": {"late": [1], "lost_response": [1]}}),
    "settlement_failed_and_reversed": (settlement_failed_and_reversed, {"polymarket": {"failed_settlement": [1]}}),
    "every_settlement_fails": (settlement_failed_and_reversed, {"polymarket": {"failed_settlement": range(1, 20)}}),
    "flattened": (flattened, {}),
    "flattened_with_refusals": (flattened, {"kalshi": {"reject": [2]}, "polymarket": {"vanish": [2]}}),
    "flattened_under_a_kill_and_again": (flattened_under_a_kill_and_again, {}),
    "killed_midway": (killed_midway, {}),
    "reduced_midway": (reduced_midway, {}),
    "given_up_and_filled_after_all": (given_up_and_filled_after_all, {"kalshi": {"late": [1], "lost_response": [1]}}),
    "refused": (refused, {}),
    "on_paper": (on_paper, {}),
}
OTHERS = ("recorded", "watched")
NAMES = (*STORIES, *OTHERS)


def play(name: str, address: str) -> list[Plain]:
    """Play a story on an empty migrated database and return the rows it leaves."""
    if name == "watched":
        return watch_pair(address)
    if name == "recorded":
        return record(address, recordings.play()[1])
    story, faults = STORIES[name]
    return live(address, story, faults, is_paper=name == "on_paper")
