"""What passes is begun anew, what stays is not, and nothing that sends orders ever is."""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import httpx
import psycopg
import pytest
import yaml
from dagster._core.definitions.dependency import NodeHandle

from orchestration.definitions import defs
from orchestration.runtime.failures import retries
from orchestration.runtime.failures.retries import WAITS_S, passes, retried
from orchestration.tags import SLOT_TAG, TRADE
from streams.market.errors import (
    AuthenticationFailed,
    ConfigurationError,
    OutcomeUnknown,
    PermanentError,
    RateLimited,
    TransientError,
)
from streams.settings import PROJECT_ROOT


def led_to(cause: BaseException | None) -> dg.Failure:
    failure = dg.Failure("the page failed")
    failure.__cause__ = cause
    return failure


PASSES = [
    TransientError("x"),
    RateLimited("x", 9),
    psycopg.OperationalError("server closed the connection"),
    psycopg.errors.AdminShutdown("x"),
    psycopg.errors.DeadlockDetected("x"),
    led_to(RateLimited("x")),
]
STAYS = [
    PermanentError("x"),
    AuthenticationFailed("x"),
    ConfigurationError("x"),
    OutcomeUnknown("x"),
    ValueError("x"),
    httpx.InvalidURL("x"),
    psycopg.errors.UndefinedTable("x"),
    psycopg.errors.QueryCanceled("x"),
    led_to(None),
    led_to(PermanentError("x")),
]


@pytest.mark.parametrize(
    ("error", "is_passing"), [*((e, True) for e in PASSES), *((e, False) for e in STAYS)], ids=lambda value: repr(value)
)
def test_the_class_of_an_error_decides(error: BaseException, is_passing: bool) -> None:
    assert passes(error) is is_passing


def test_a_transient_error_that_a_permanent_one_led_to_stays() -> None:
    error = TransientError("x")
    error.__cause__ = ConfigurationError("x")
    assert not passes(error)
    error.__cause__ = error
    assert passes(error)


class Tries:
    """Errors that the next tries raise, the first first; then it succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tries = 0

    def __call__(self) -> None:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)


def _asset(tries: Tries) -> Callable[[dg.DagsterInstance], Any]:
    @dg.asset
    @retried
    def thing() -> None:
        tries()

    return lambda instance: dg.materialize([thing], instance=instance, raise_on_error=False)


def _yielding(tries: Tries) -> Callable[[dg.DagsterInstance], Any]:
    @dg.asset
    @retried
    def thing() -> Iterator[dg.MaterializeResult[None]]:
        tries()
        yield dg.MaterializeResult()

    return lambda instance: dg.materialize([thing], instance=instance, raise_on_error=False)


def _op(tries: Tries) -> Callable[[dg.DagsterInstance], Any]:
    @dg.op
    @retried
    def step() -> None:
        tries()

    @dg.job
    def job() -> None:
        step()

    return lambda instance: job.execute_in_process(instance=instance, raise_on_error=False)


@pytest.mark.parametrize("made", [_asset, _yielding, _op])
@pytest.mark.parametrize(
    ("errors", "tries", "succeeds"),
    [
        ([], 1, True),
        ([TransientError("x")], 2, True),
        ([RateLimited("x")] * len(WAITS_S), 1 + len(WAITS_S), True),
        ([TransientError("x")] * 9, 1 + len(WAITS_S), False),
        ([ConfigurationError("x")], 1, False),
        ([TransientError("x"), PermanentError("x")], 2, False),
    ],
)
def test_a_step_is_tried_as_often_as_it_may_help(
    monkeypatch: pytest.MonkeyPatch, made: Any, errors: list[Exception], tries: int, succeeds: bool
) -> None:
    monkeypatch.setattr(retries, "WAITS_S", (0.0,) * len(WAITS_S))
    counted = Tries(*errors)
    with dg.DagsterInstance.ephemeral() as instance:
        result = made(counted)(instance)
    assert (counted.tries, result.success) == (tries, succeeds)


def test_outside_of_a_run_the_error_is_what_it_was() -> None:
    @retried
    def step() -> None:
        raise TransientError("x")

    with pytest.raises(TransientError) as found:
        step()
    assert found.value.__cause__ is None


@pytest.fixture(scope="module")
def jobs() -> list[dg.JobDefinition]:
    """All jobs of the code location, those of single assets apart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return list(defs().resolve_all_job_defs())


def function_of(node: Any) -> Any:
    """The function of an op as it was decorated."""
    return node.compute_fn.decorated_fn


def test_no_op_that_sends_orders_is_ever_begun_anew(jobs: list[dg.JobDefinition]) -> None:
    sending = [job for job in jobs if job.tags.get(SLOT_TAG) == TRADE[SLOT_TAG]]
    assert {job.name for job in sending} == {"hedged_trade", "hedge", "settle_trades"}
    for job in sending:
        assert not any("retr" in name for name in (*job.tags, *job.run_tags)), job.name
        assert not job.hook_defs, f"{job.name}: a hook may ask for a new beginning"
        for node in job.nodes:
            assert job.get_retry_policy_for_handle(NodeHandle(node.name, None)) is None
            assert node.definition.retry_policy is None  # type: ignore[attr-defined]
            assert not hasattr(function_of(node.definition), "__wrapped__"), f"{node.name} is retried"


def test_nobody_asks_for_a_new_beginning_beside_the_one_way() -> None:
    asking = re.compile("RetryRequested|RetryPolicy|allow_retries|success_hook|failure_hook|reexecut")
    paths = [path for room in ("orchestration", "app") for path in (PROJECT_ROOT / room).rglob("*.py")]
    found = {str(path.relative_to(PROJECT_ROOT)) for path in paths if asking.search(path.read_text())}
    assert found == {"orchestration/runtime/failures/retries.py"}


def test_no_run_as_a_whole_is_begun_anew() -> None:
    written = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text())
    assert "run_retries" not in written
    assert written["run_monitoring"]["max_resume_run_attempts"] == 0


def test_every_asset_and_op_of_batch_work_is_retried(jobs: list[dg.JobDefinition]) -> None:
    functions = {node.name: function_of(node) for job in jobs for node in job.all_node_defs}
    steps = {name: step for name, step in functions.items() if not step.__module__.endswith("checks")}
    assert {name for name, step in steps.items() if not hasattr(step, "__wrapped__")} == {
        "trade_while_signals_open", "follow_hedge", "settle_and_reconcile", "record_shard",
    }  # fmt: skip
    assert {"kalshi_listings", "pairs", "market_groups", "candle_history", "warehouse", "keep_partitions"} <= set(steps)


def test_what_the_definitions_hold_is_no_part_of_a_collection(jobs: list[dg.JobDefinition]) -> None:
    assert gc.get_freeze_count() > 100_000  # several hundred thousand objects live as long as the process
