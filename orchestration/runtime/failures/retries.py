"""Steps that begin anew after what passes: a venue or the database that is away. What stays fails at once.

Never used where orders are sent; an import contract keeps it from there. A run that fails after the last try is told of
by the watcher of alerts.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import dagster as dg
from dagster._core.execution.context.compute import current_execution_context

from streams.market.errors import ConfigurationError, OutcomeUnknown, PermanentError, TransientError
from streams.storage.outages import is_transient

P = ParamSpec("P")
T = TypeVar("T")

WAITS_S = (5.0, 15.0, 45.0)
"""Seconds before each new beginning; there is none after the last."""
_STAYS = (PermanentError, ConfigurationError, OutcomeUnknown)


def passes(error: BaseException | None) -> bool:
    """Whether the same work may succeed later, by the classes of an error and of what led to it."""
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__
    if any(isinstance(one, _STAYS) for one in chain):
        return False
    return any(isinstance(one, TransientError) or is_transient(one) for one in chain)


def retried(step: Callable[P, T]) -> Callable[P, T]:
    """Let the step of an asset or op begin anew, up to three times, when it fails for what passes.

    The step must give the same when it is done twice.
    """
    if inspect.isgeneratorfunction(step):

        @functools.wraps(step)
        def in_parts(*arguments: P.args, **named: P.kwargs) -> Iterator[Any]:
            try:
                yield from step(*arguments, **named)
            except Exception as error:
                again = _again_after(error)
                if again is None:
                    raise
                raise again from error

        return in_parts  # type: ignore[return-value]

    @functools.wraps(step)
    def whole(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return step(*arguments, **named)
        except Exception as error:
            again = _again_after(error)
            if again is None:
                raise
            raise again from error

    return whole


def _again_after(error: Exception) -> dg.RetryRequested | None:
    """The request for a new beginning; None where that cannot help, after the last try, and where there is no step."""
    context = current_execution_context.get()
    if context is None or not passes(error):
        return None
    tried = context.op_execution_context.retry_number
    if tried >= len(WAITS_S):
        return None
    return dg.RetryRequested(max_retries=len(WAITS_S), seconds_to_wait=WAITS_S[tried])
