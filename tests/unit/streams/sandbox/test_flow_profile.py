"""What the behaviour adds to the flow: rivals who are faster, brief gaps of a few contracts, makers who watch."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from streams.market.errors import ConfigurationError
from streams.sandbox.catalogue.catalogue import Catalogue
from streams.sandbox.catalogue.load import load_catalogue
from streams.sandbox.core.model import CancelOrder, PlaceOrder
from streams.sandbox.core.profile import REALISTIC, ZERO
from streams.sandbox.core.scenario import CALM, HARSH, MILD, Scenario, named_scenario
from streams.sandbox.process.options import load_profile, options_from
from streams.sandbox.simulation.dislocations import catalogue_dislocation
from streams.sandbox.simulation.flow import Flow
from streams.sandbox.simulation.parameters import REALISTIC_FLOW, FlowParameters, adjusted_parameters
from streams.sandbox.simulation.quoting import RIVAL
from streams.settings import load_settings
from tests.calibration.offline import OfflineExchange

NOW = datetime(2026, 11, 21, 12, 0, 7, tzinfo=UTC)
START_MS = int(NOW.timestamp() * 1000)
BRIEF = FlowParameters(
    deltas_per_s=300.0, gap_share=0.0001, brief_gaps_per_h=60.0, coins=(), ladder_violations_per_min=0.001
)


@pytest.fixture(scope="module")
def bundled() -> Catalogue:
    return load_catalogue(None, NOW)


def watch(flow: Flow, seconds: float, step_ms: int = 50) -> tuple[list[tuple[float, int]], list[PlaceOrder]]:
    """(seconds, contracts at last) of every gap that ended, and what rivals placed."""
    exchange = OfflineExchange()
    fills = exchange.apply([])
    since: dict[object, tuple[int, int]] = {}
    ended: list[tuple[float, int]] = []
    rivals: list[PlaceOrder] = []
    for number in range(int(seconds * 1000) // step_ms):
        acts = flow.step(START_MS + number * step_ms, fills)
        fills = exchange.apply(acts)
        rivals += [act for act in acts if isinstance(act, PlaceOrder) and act.account == RIVAL]
        seen = {}
        for ref, _, contracts in flow.displaced():
            begun, last = since.get(ref, (number, 0))
            seen[ref] = begun, contracts or last
        ended += [((number - since[ref][0]) * step_ms / 1000, since[ref][1]) for ref in since if ref not in seen]
        since = dict(seen)
    assert exchange.crossed == 0
    return ended, rivals


def test_brief_gaps_last_seconds_and_offer_about_fifteen_contracts(bundled: Catalogue) -> None:
    ended, _ = watch(Flow(bundled, 1, BRIEF.under(ZERO)), 90)
    assert len(ended) > 100
    assert all(seconds < 10 for seconds, _ in ended)
    sizes = sorted(contracts for _, contracts in ended if contracts)
    assert 12 <= sizes[len(sizes) // 2] <= 18
    assert sizes[len(sizes) * 9 // 10] < 40


def test_long_gaps_of_the_profile_last_minutes_and_leave_one_to_four_cents() -> None:
    parameters, source = replace(FlowParameters(), **REALISTIC_FLOW), Random(1)
    edges, lengths = zip(*(catalogue_dislocation(parameters, source) for _ in range(20_000)), strict=True)
    low, middle, high = (sorted(edges)[20_000 * share // 100] for share in (5, 50, 95))
    assert 0.0095 < low < 0.0105
    assert 0.0195 < middle < 0.0205
    assert 0.038 < high < 0.042
    assert 5.4 * 60 < sorted(lengths)[10_000] < 5.8 * 60


def test_rivals_take_half_of_the_gaps_within_their_reaction(bundled: Catalogue) -> None:
    flow = Flow(bundled, 1, BRIEF.in_scenario(HARSH).under(HARSH.applied(REALISTIC)))
    ended, rivals = watch(flow, 90)
    quick = [seconds for seconds, _ in ended if seconds <= 0.5]
    assert 0.35 < len(quick) / len(ended) < 0.65
    assert all(seconds >= 0.05 for seconds in quick)
    assert 0.3 < flow.gaps["taken"] / flow.gaps["brief"] < 0.65
    assert len(rivals) >= flow.gaps["taken"]


def test_a_rival_takes_all_that_is_stale_in_one_order(bundled: Catalogue) -> None:
    parameters = replace(BRIEF, brief_gaps_per_h=0.0, gap_share=0.4).under(
        replace(REALISTIC, fades=True, rival_share=Decimal(1))
    )
    flow = Flow(bundled, 2, parameters)
    _, rivals = watch(flow, 30)
    assert flow.gaps["taken"] > 20
    assert all(order.is_immediate for order in rivals)


def test_makers_step_back_when_the_other_venue_moves(bundled: Catalogue) -> None:
    """With the same news, more quotes are pulled where makers watch each other."""
    pulled = []
    for profile in (ZERO, replace(ZERO, fades=True)):
        parameters = replace(BRIEF, brief_gaps_per_h=0.0, jumps_per_h=60.0, move_fade_probability=1.0).under(profile)
        flow, exchange = Flow(bundled, 3, parameters), OfflineExchange()
        acts = [act for number in range(240) for act in flow.step(START_MS + number * 250, [])]
        exchange.apply(acts)
        pulled.append(sum(isinstance(act, CancelOrder) for act in acts))
    assert pulled[1] > 1.02 * pulled[0]


def test_a_flow_with_all_of_it_is_the_same_every_time_and_resumes_exactly(bundled: Catalogue) -> None:
    parameters = replace(BRIEF, gap_share=0.1).in_scenario(HARSH).under(HARSH.applied(REALISTIC))
    flows = [Flow(bundled, 6, parameters) for _ in range(2)]
    runs = [[flow.step(START_MS + number * 250, []) for number in range(200)] for flow in flows]
    assert runs[0] == runs[1]
    restored = Flow(bundled, 6, parameters)
    restored.restore(json.loads(json.dumps(flows[0].snapshot())))
    later = START_MS + 50_000
    assert all(
        flows[0].step(later + number * 250, []) == restored.step(later + number * 250, []) for number in range(200)
    )
    assert flows[0].snapshot() == restored.snapshot()


def test_a_state_written_before_there_were_brief_gaps_can_be_taken_back(bundled: Catalogue) -> None:
    flow = Flow(bundled, 6, BRIEF)
    flow.step(START_MS, [])
    state = json.loads(json.dumps(flow.snapshot()))
    state["quotes"] = [row[:-2] for row in state["quotes"]]
    restored = Flow(bundled, 6, BRIEF)
    restored.restore(state)
    assert [row[:-2] for row in restored.snapshot()["quotes"]] == state["quotes"]


def test_a_behaviour_file_changes_single_figures_of_both_halves(tmp_path: Path) -> None:
    path = tmp_path / "behaviour.json"
    path.write_text(json.dumps({"read_lag_ms": 900, "rival_share": "0.25", "flow": {"levels": 3, "fade_s": [1, 2]}}))
    profile, parameters = load_profile(path, REALISTIC, FlowParameters())
    assert (profile.read_lag_ms, profile.kalshi_ack_ms) == (900, (20, 80))
    assert (parameters.levels, parameters.fade_s) == (3, (1, 2))
    assert parameters.under(profile).rival_share == 0.25
    for text in ("[]", '{"speed": 1}', '{"flow": {"levels": [1, 2]}}', '{"flow": {"fades": true}}', "{", '{"flow": 1}'):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=r"behaviour\.json .*\.$"):
            load_profile(path, REALISTIC, FlowParameters())
    with pytest.raises(ValueError, match="rival_share"):
        adjusted_parameters(FlowParameters(), {"rival_share": 1})


FIGURES = ("fades", "fade_probability", "move_fade_probability", "fade_e4", "rival_share")


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("calm", (False, 0.0, 0.0, (100, 100), 0.0)),
        ("mild", (True, 0.25, 0.25, (100, 100), 0.25)),
        ("harsh", (True, 0.55, 0.5, (100, 300), 0.5)),
    ],
)
def test_each_scenario_sets_how_makers_and_rivals_act_and_nothing_of_the_exchange(
    tmp_path: Path, scenario: str, expected: tuple[object, ...]
) -> None:
    options = options_from(load_settings(home=tmp_path, sandbox_scenario=scenario))
    flow, _ = options.make_flow(NOW)
    assert isinstance(flow, Flow)
    assert tuple(getattr(flow.parameters, name) for name in FIGURES) == expected
    assert options.scenario.name == scenario
    assert replace(options.profile, fades=False, rival_share=Decimal(0)) == REALISTIC


@pytest.mark.parametrize(("profile", "scenario"), [("realistic", MILD), ("zero", CALM)])
def test_a_profile_begins_with_a_scenario_of_its_own(tmp_path: Path, profile: str, scenario: Scenario) -> None:
    assert options_from(load_settings(home=tmp_path, sandbox_profile=profile)).scenario == scenario


def test_a_behaviour_file_goes_before_the_scenario(tmp_path: Path) -> None:
    path = tmp_path / "behaviour.json"
    path.write_text(json.dumps({"rival_share": "0.1", "flow": {"fade_probability": 0.9}}))
    options = options_from(load_settings(home=tmp_path, sandbox_scenario="harsh", sandbox_behaviour=path))
    flow, _ = options.make_flow(NOW)
    assert isinstance(flow, Flow)
    assert tuple(getattr(flow.parameters, name) for name in FIGURES) == (True, 0.9, 0.5, (100, 300), 0.1)


def test_a_running_flow_goes_on_in_another_scenario(bundled: Catalogue) -> None:
    flow = Flow(bundled, 1, BRIEF.in_scenario(HARSH).under(HARSH.applied(REALISTIC)))
    flow.follow(CALM.applied(REALISTIC), CALM)
    assert tuple(getattr(flow.parameters, name) for name in FIGURES) == (False, 0.0, 0.0, (100, 100), 0.0)
    assert flow.parameters.brief_gaps_per_h == BRIEF.brief_gaps_per_h


def test_an_unknown_scenario_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"no sandbox scenario 'wild'; known are calm, mild, harsh\."):
        named_scenario("wild")


def test_nothing_on_the_trading_side_reads_the_scenario() -> None:
    """Whoever decides about money must not know how its counterparts are drawn."""
    root = Path(__file__).parents[4]
    words = re.compile(r"sandbox_scenario|core\.scenario|move_fade_probability|rival_share|SANDBOX_SCENARIO")
    readers = {
        str(path.relative_to(root))
        for folder in ("orchestration", "streams", "app", "dbt_project")
        for path in (root / folder).rglob("*")
        if path.suffix in (".py", ".sql", ".yml") and words.search(path.read_text(encoding="utf-8"))
    }
    allowed = {"app/cli/sandbox.py", "streams/setting_places.py"}
    assert {reader for reader in readers if not reader.startswith("streams/sandbox/")} == allowed
