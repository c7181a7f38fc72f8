"""The cheapest of completing, unwinding, pairing and holding: worked cases, and against trying every level by hand."""

from __future__ import annotations

import random
from dataclasses import replace

from orchestration.execution.decide.mending import Bounds, Mend, MendLeg, best_mend, price_for
from streams.market.events import Levels
from streams.market.fees import KalshiFeeSchedule
from streams.market.taker_fees import taker_fees

ONE = 1_000_000
PAIR = ((10_000, 0), (0, 10_000))
LOOSE = Bounds(0, 1_000 * ONE)


def free(_price_e4: int, _size_e6: int) -> int:
    return 0


def leg(number: int, held: int, asks: Levels, bids: Levels, **more: object) -> MendLeg:
    """A leg of a pair; contracts and depths are whole."""
    plain = MendLeg(
        number, held * ONE, PAIR[number], 4_500, [(price, size * ONE) for price, size in asks],
        [(price, size * ONE) for price, size in bids], 1_000 * ONE, free,
    )  # fmt: skip
    return replace(plain, **more)  # type: ignore[arg-type]


def way(mend: Mend | None) -> tuple[str, int, int, int] | None:
    return None if mend is None else (mend.way, mend.leg_no, mend.limit_price_e4, mend.size_e6 // ONE)


def test_a_fade_that_leaves_a_profit_is_completed_and_not_sold_at_a_cent() -> None:
    # 20 at 0.45 are held; the other leg was planned at 0.45 and is offered at 0.471: 20 - 9 - 9.42 = 1.58 is locked
    legs = [leg(0, 20, [(4_600, 50)], [(100, 50)]), leg(1, 0, [(4_710, 50)], [(4_600, 50)])]
    mend = best_mend(legs, 9 * ONE, Bounds(2 * ONE, 6 * ONE))
    assert way(mend) == ("complete", 1, 4_710, 20)
    assert mend is not None
    assert (mend.result_e6, mend.held_e6) == (1_580_000, -9 * ONE)
    # the prices at which all of it leaves 2.00, nothing, and -6.00
    assert (mend.target_e4, mend.break_even_e4, mend.stop_e4) == (4_500, 5_500, 8_500)


def test_a_thin_edge_is_unwound_for_less_rather_than_completed_for_more() -> None:
    # 10 at 0.495; completing at 0.52 locks -1.5 cents a contract, selling at 0.491 loses 0.4
    legs = [leg(0, 10, [(4_960, 50)], [(4_910, 50)]), leg(1, 0, [(5_200, 50)], [(5_000, 50)])]
    mend = best_mend(legs, 4_950_000, Bounds(50_000, 150_000))
    assert way(mend) == ("unwind", 0, 4_910, 10)
    assert mend is not None
    assert mend.result_e6 == -40_000


def test_fees_decide_which_way_is_cheaper() -> None:
    # selling at 0.496 loses 0.4 cents, completing at 0.505 half a cent; a fee of 1.75 cents on the sale turns it
    dear = taker_fees(KalshiFeeSchedule()).of
    legs = [leg(0, 10, [], [(4_960, 50)]), leg(1, 0, [(5_050, 50)], [])]
    assert way(best_mend(legs, 5 * ONE, LOOSE)) == ("unwind", 0, 4_960, 10)
    legs[0] = replace(legs[0], fee=dear)
    assert way(best_mend(legs, 5 * ONE, LOOSE)) == ("complete", 1, 5_050, 10)


def test_what_the_offers_do_not_cover_is_given_up_where_that_is_cheaper_than_the_next_level() -> None:
    legs = [leg(0, 20, [], [(4_400, 50)]), leg(1, 0, [(4_600, 12), (6_500, 50)], [])]
    first = best_mend(legs, 9 * ONE, LOOSE)
    assert way(first) == ("complete", 1, 4_600, 12)
    assert first is not None
    assert first.result_e6 == 12 * ONE - 9 * ONE - 5_520_000 + 3_520_000
    legs = [leg(0, 20, [], [(4_400, 50)]), leg(1, 12, [(6_500, 50)], [])]
    assert way(best_mend(legs, 14_520_000, LOOSE)) == ("unwind", 0, 4_400, 8)


def test_nothing_is_sold_below_the_price_that_the_loss_bound_sets() -> None:
    legs = [leg(0, 20, [], [(4_300, 5), (3_000, 50)]), leg(1, 0, [(6_900, 50)], [])]
    bounds = Bounds(500_000, 1_500_000)
    # 20 at 0.45 lose 1.50 at 0.375: the five at 0.43 are sold, the rest is held
    mend = best_mend(legs, 9 * ONE, bounds)
    assert way(mend) == ("unwind", 0, 4_300, 5)
    assert mend is not None
    assert mend.stop_e4 == 3_750
    assert best_mend([replace(legs[0], held_e6=15 * ONE, bids=[(3_000, 50 * ONE)]), legs[1]], 6_850_000, bounds) is None


def test_a_bound_of_nothing_allows_what_breaks_even_and_no_more() -> None:
    legs = [leg(0, 10, [], [(4_400, 50)]), leg(1, 0, [(5_500, 50)], [])]
    assert way(best_mend(legs, 4_500_000, Bounds(0, 0))) == ("complete", 1, 5_500, 10)
    assert best_mend([legs[0], leg(1, 0, [(5_510, 50)], [])], 4_500_000, Bounds(0, 0)) is None


def test_contracts_that_cannot_be_sold_yet_are_paired_with_their_complement() -> None:
    # the bid at 0.44 is an offer of the other outcome at 0.56: ten pairs pay ten, as a sale at 0.44 would bring 4.40
    legs = [leg(0, 10, [], [(4_400, 50)], sellable_e6=0, can_pair=True), leg(1, 0, [(6_000, 50)], [])]
    mend = best_mend(legs, 4_500_000, LOOSE)
    assert way(mend) == ("complement", 0, 5_600, 10)
    assert mend is not None
    assert (mend.cost_e6, mend.result_e6) == (5_600_000, -100_000)
    assert way(best_mend([replace(legs[0], sellable_e6=10 * ONE), legs[1]], 4_500_000, LOOSE)) == (
        "unwind",
        0,
        4_400,
        10,
    )
    assert way(best_mend([replace(legs[0], can_pair=False), legs[1]], 4_500_000, LOOSE)) == ("complete", 1, 6_000, 10)


def test_a_sale_that_brings_less_than_its_fee_is_not_made() -> None:
    legs = [leg(0, 10, [], [(100, 50)], fee=lambda _price, _size: 200_000), leg(1, 0, [], [])]
    assert best_mend(legs, 4_500_000, LOOSE) is None


def test_a_leg_below_its_venues_minimum_is_left_to_the_other_way() -> None:
    small = leg(1, 0, [(4_600, 50)], [], min_notional_e6=5 * ONE)
    assert way(best_mend([leg(0, 10, [], [(4_400, 50)]), small], 4_500_000, LOOSE)) == ("unwind", 0, 4_400, 10)
    few = leg(0, 10, [], [(4_400, 50)], min_size_e6=20 * ONE)
    assert best_mend([few, small], 4_500_000, LOOSE) is None


def test_three_legs_are_balanced_one_order_after_the_other() -> None:
    pays = ((0, 10_000, 10_000), (10_000, 0, 10_000), (10_000, 10_000, 0))
    legs = [
        replace(leg(0, 10, [(6_100, 50)], [(5_900, 50)]), pays_e4=pays[0]),
        replace(leg(0, 10, [(6_100, 50)], [(5_900, 50)]), leg_no=1, pays_e4=pays[1]),
        replace(leg(0, 4, [(6_400, 3), (9_500, 50)], [(5_900, 50)]), leg_no=2, pays_e4=pays[2]),
    ]
    spent = 24 * 6_000 * 100
    # three more at 0.64 lock 2 - 1.84 each; the last three of both others are sold at 0.59
    mend = best_mend(legs, spent, LOOSE)
    assert way(mend) == ("complete", 2, 6_400, 3)
    assert mend is not None
    assert mend.result_e6 == 14 * ONE - spent - 1_920_000 + 6 * 590_000


# -- against every level tried by hand ---------------------------------------------------------------------------------


def random_legs(source: random.Random) -> tuple[list[MendLeg], int]:
    count = source.choice([2, 2, 3])
    rows = PAIR if count == 2 else ((0, 10_000, 10_000), (10_000, 0, 10_000), (10_000, 10_000, 0))
    per_mille = source.choice([0, 20, 70])

    def fee(price_e4: int, size_e6: int) -> int:
        return per_mille * price_e4 * (10_000 - price_e4) // 10_000 * (size_e6 // ONE) // 10

    legs = []
    for number in range(count):
        middle = source.randrange(3_000, 7_000, 100)
        asks = [(middle + 100 * (n + 1), source.randrange(0, 4)) for n in range(source.randrange(0, 4))]
        bids = [(middle - 100 * n, source.randrange(0, 4)) for n in range(source.randrange(0, 4))]
        made = leg(0, source.randrange(0, 8), asks, bids, fee=fee, size_step_e6=ONE, min_size_e6=ONE)
        legs.append(
            replace(
                made, leg_no=number, pays_e4=rows[number], can_pair=source.random() < 0.5,
                sellable_e6=source.randrange(0, 9) * ONE, may_buy=source.random() < 0.9, may_sell=source.random() < 0.9,
            )
        )  # fmt: skip
    return legs, sum(one.held_e6 * source.randrange(3_000, 7_000, 100) // 10_000 for one in legs)


def tried_by_hand(legs: list[MendLeg], spent: int) -> int:
    """The best result over all levels of matched contracts, contract by contract."""

    def locked(held: list[int], cash: int) -> int:
        outcomes = range(len(legs[0].pays_e4))
        return (
            min(sum(one.pays_e4[n] * size for one, size in zip(legs, held, strict=True)) for n in outcomes) * 100 - cash
        )

    best = locked([one.held_e6 // ONE for one in legs], spent)
    held = [one.held_e6 // ONE for one in legs]
    for level in range(min(held), max(held) + 1):
        after, cash = list(held), spent
        for index, one in enumerate(legs):
            wanted = level - held[index]
            levels = one.asks if wanted > 0 else one.bids
            left, most = abs(wanted), abs(wanted)
            if (wanted > 0 and not one.may_buy) or (wanted < 0 and not one.may_sell):
                most = 0
            if wanted < 0 and not one.can_pair:
                most = min(most, one.sellable_e6 // ONE)
            left = most
            used, walked, fees = 0, 0, 0
            for price, size in levels:
                part = min(left, size // ONE)
                walked, fees = walked + price * part * 100, fees + (one.fee(price, part * ONE) if part else 0)
                used, left = used + part, left - part
            if wanted < 0 and fees >= walked and not (one.can_pair and one.sellable_e6 // ONE < used):
                used = walked = fees = 0
            after[index] += used if wanted > 0 else -used
            cash += fees + (walked if wanted > 0 else -walked)
        best = max(best, locked(after, cash))
    return best


def test_no_level_of_matched_contracts_is_better_than_the_one_that_is_chosen() -> None:
    ways: dict[str, int] = {}
    for seed in range(4_000):
        legs, spent = random_legs(random.Random(seed))
        mend = best_mend(legs, spent, LOOSE)
        by_hand = tried_by_hand(legs, spent)
        if mend is None:
            ways["hold"] = ways.get("hold", 0) + 1
            now = min(sum(one.pays_e4[n] * one.held_e6 for one in legs) for n in range(len(legs[0].pays_e4)))
            assert by_hand == now // 10_000 - spent, seed
            continue
        ways[mend.way] = ways.get(mend.way, 0) + 1
        assert mend.result_e6 == by_hand, seed
        assert mend.result_e6 > mend.held_e6
    assert min(ways.values()) > 100, ways
    assert set(ways) == {"complete", "unwind", "complement", "hold"}


def test_all_that_is_out_of_balance_done_at_the_stop_keeps_the_loss_bound() -> None:
    checked = 0
    for seed in range(3_000):
        source = random.Random(seed)
        legs, spent = random_legs(source)
        bounds = Bounds(source.randrange(0, 2 * ONE), source.randrange(0, 4 * ONE))
        mend = best_mend(legs, spent, bounds)
        if mend is None:
            continue
        one, is_buy = legs[mend.leg_no], mend.way == "complete"
        limit = 10_000 - mend.limit_price_e4 if mend.way == "complement" else mend.limit_price_e4
        assert limit <= mend.stop_e4 if is_buy else limit >= mend.stop_e4
        at_limit = price_for(legs, one, spent, -bounds.loss_e6, is_buy=is_buy)
        assert at_limit == mend.stop_e4
        if len(legs) == 2:  # the other leg is where it should be already
            held = max(one.held_e6 for one in legs) if is_buy else min(one.held_e6 for one in legs)
            size = abs(held - one.held_e6)
            cash = limit * size // 10_000
            after = held - spent - one.fee(limit, size) + (-cash if is_buy else cash)
            assert after >= -bounds.loss_e6 - 1, seed
            checked += 1
    assert checked > 500
