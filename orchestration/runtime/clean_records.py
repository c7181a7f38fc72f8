"""What Dagster keeps and shows of a run or a tick, without secrets: its events, its errors, its reasons.

A run stores its events itself and knows its own secrets. A sensor's error is made in the code server and stored by the
daemon, which does not know them: so an error is cleaned where it is made from an exception.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from dagster._serdes import deserialize_value, serialize_value
from dagster_shared.error import SerializableErrorInfo

from streams.redaction import REDACTED, names_secret, redact_text

T = TypeVar("T")

_CLASS: Final = "__class__"
_NAMES_OF_OURS = frozenset({"AssetKey", "SolidHandle", "StepHandle", "StepOutputHandle", "StepInputHandle"})
"""Objects of Dagster's whose texts are names in our code: events are found by them."""
_IDENTITY = frozenset(
    {
        *("run_id", "run_ids", "pipeline_name", "step_key", "event_type_value", "partition", "log_key"),
        *("instigator_origin_id", "instigator_name", "selector_id", "origin_run_ids", "run_keys", "reserved_run_ids"),
        *("cursor", "run_requests", "dynamic_partitions_request_results"),
    }
)
"""What Dagster finds runs, steps and ticks by, or hands on; it stays as it is."""
_BETWEEN = "\n\x00\n"
error_of_dagster = SerializableErrorInfo.from_traceback.__func__  # type: ignore[attr-defined]


def clean_record(record: T) -> T:
    """Return an event or tick of Dagster's without secrets; the same object where there is none in it."""
    document = json.loads(serialize_value(record))  # type: ignore[arg-type]
    if not _holds_secret(document):
        return record
    return deserialize_value(json.dumps(_clean(document, redact_text)), type(record))  # type: ignore[type-var]


def _holds_secret(document: Any) -> bool:
    """Look at all texts at once: a run has hundreds of events, and few have anything to hide."""
    texts: list[str] = []

    def collect(text: str) -> str:
        texts.append(text)
        return text

    if _clean(document, collect) != document:
        return True
    joined = _BETWEEN.join(texts)
    return redact_text(joined) != joined


def guard_errors() -> None:
    """Let every error that Dagster makes from an exception in this process be without secrets, causes included."""
    SerializableErrorInfo.from_traceback = classmethod(_clean_error)  # type: ignore[method-assign, assignment]


def _clean_error(kind: type[SerializableErrorInfo], trace: traceback.TracebackException) -> SerializableErrorInfo:
    # Its cause and context come by here as well.
    found = error_of_dagster(kind, trace)
    return kind(
        message=redact_text(found.message),
        stack=[redact_text(line) for line in found.stack],
        cls_name=found.cls_name,
        cause=found.cause,
        context=found.context,
    )


def _clean(value: Any, redacted: Callable[[str], str], *, is_secret: bool = False) -> Any:
    if isinstance(value, str):
        return REDACTED if is_secret else redacted(value)
    if isinstance(value, list):
        return [_clean(item, redacted, is_secret=is_secret) for item in value]
    if isinstance(value, Mapping):
        return _clean_object(value, redacted, is_secret=is_secret)
    return value


def _clean_object(value: Mapping[str, Any], redacted: Callable[[str], str], *, is_secret: bool) -> dict[str, Any]:
    if value.get(_CLASS) in _NAMES_OF_OURS:
        return dict(value)
    is_dagsters = _CLASS in value
    clean: dict[str, Any] = {}
    for name, item in value.items():
        if name.startswith("__") or (is_dagsters and name in _IDENTITY):
            clean[name] = item
            continue
        # Metadata stand as label and data beside each other.
        called = value.get("label") if name == "entry_data" else None if is_dagsters else name
        hides = is_secret or (isinstance(called, str) and names_secret(called))
        clean[name if is_dagsters else redacted(name)] = _clean(item, redacted, is_secret=hides)
    return clean
