"""What fault injection makes of profile and fault plan: times of acknowledgements, errors, lost answers."""

from __future__ import annotations

from dataclasses import replace

from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan, FaultRule
from streams.sandbox.core.profile import REALISTIC, ZERO, Profile
from streams.sandbox.http.server import Request, Response
from tests.support.faulty_app import CountingApp
from tests.support.kalshi_venue import OfflineKalshi

ORDER = Request("POST", "/trade-api/v2/portfolio/orders", [], {})
READ = Request("GET", "/trade-api/v2/portfolio/orders", [], {})


def app_under(*rules: FaultRule, profile: Profile = ZERO, venue: Venue = Venue.KALSHI) -> CountingApp:
    """An app under these rules."""
    return CountingApp(FaultPlan(list(rules)), profile, venue)


def test_a_write_is_carried_out_after_half_its_time_and_answered_after_the_other() -> None:
    app = app_under(profile=REALISTIC)
    seen: list[float] = []
    for _ in range(300):
        before = app.carried_out
        first = app.handle(ORDER)
        assert app.carried_out == before
        assert first.resume is not None
        second = first.resume()
        assert app.carried_out == before + 1
        assert second.status == 201
        assert first.delay_ms == second.delay_ms
        seen.append(first.delay_ms + second.delay_ms)
    assert 20 <= min(seen) < 23
    assert 77 < max(seen) <= 80


def test_polymarket_has_its_own_times_and_a_held_order_keeps_the_second_half() -> None:
    app = app_under(profile=replace(ZERO, polymarket_ack_ms=(100, 100)), venue=Venue.POLYMARKET)
    app.is_late = True
    request = Request("POST", "/clob/order", [], {})
    first = app.handle(request)
    assert first.resume is not None
    held = first.resume()
    assert held.resume is not None
    assert (first.delay_ms, held.delay_ms, held.resume().status) == (50, 200, 201)


def test_reads_are_not_held_up() -> None:
    app = app_under(profile=REALISTIC)
    assert app.handle(READ).delay_ms == 0
    assert app.handle(Request("POST", "/clob/books", [], {})).delay_ms == 0


def test_an_error_before_leaves_nothing_and_an_error_after_leaves_the_order() -> None:
    before = app_under(FaultRule("server_error", status=502, times=1))
    assert (before.handle(ORDER).status, before.carried_out) == (502, 0)
    assert (before.handle(ORDER).status, before.carried_out) == (201, 1)
    after = app_under(FaultRule("server_error", when="after", path="/trade-api/v2/portfolio"))
    assert (after.handle(ORDER).status, after.carried_out) == (503, 1)


def test_a_lost_request_is_not_carried_out_a_lost_answer_is_and_reads_lose_nothing() -> None:
    asked = app_under(FaultRule("lost_request"))
    assert asked.handle(READ).status == 201
    assert asked.carried_out == 1
    assert asked.handle(ORDER).is_reset
    assert asked.carried_out == 1
    answered = app_under(FaultRule("lost_response"))
    assert not answered.handle(READ).is_lost
    assert answered.handle(ORDER).is_lost
    assert answered.carried_out == 2


def test_faults_of_the_way_back_reach_answers_that_come_late() -> None:
    app = app_under(FaultRule("lost_response"), FaultRule("delay", ms=70))
    app.is_late = True
    first = app.handle(ORDER)
    assert first.resume is not None
    last = first.resume()
    assert (last.is_lost, last.delay_ms) == (True, 70)


def test_an_upgrade_can_be_refused_as_a_venue_in_trouble_does() -> None:
    app = app_under(FaultRule("server_error", status=502, path="/trade-api/ws", times=1))
    upgrade = Request("GET", "/trade-api/ws/v2", [], {})
    refused, accepted = app.open_session(upgrade), app.open_session(upgrade)
    assert isinstance(refused, Response)
    assert isinstance(accepted, Response)
    assert (refused.status, accepted.status) == (502, 101)


def test_a_venue_in_trouble_still_tells_its_status() -> None:
    rule = FaultRule("server_error", status=504, times=1)
    venue = OfflineKalshi(plan=FaultPlan([rule]))
    broken, whole = venue.ask("GET", "/exchange/status"), venue.ask("GET", "/exchange/status")
    assert (broken.status, whole.status) == (504, 200)
    assert broken.body == whole.body
