"""Data tests that fail: each is an open alert that names the marts it marks, cleared when the test passes again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from orchestration.dbt.live_views import tests_below
from streams.storage.database import Connection
from streams.storage.store.alerts import clear_alert, clear_other_alerts, raise_alert

KIND = "data_test"
_BAD = {"fail", "error", "warn"}


def mark_results(connection: Connection, manifest: Mapping[str, Any], results: Iterable[Any]) -> None:
    """Open an alert for every test that did not pass, clear those of tests that did; a skipped one stays."""
    marts = dict(tests_below(manifest, "analytics"))
    clear_other_alerts(connection, KIND, [_key(manifest["nodes"][test]["name"]) for test in marts])
    for result in results:
        test = result.node.unique_id
        if test not in marts:
            continue
        name, status = str(result.node.name), str(result.status)
        if status == "pass":
            clear_alert(connection, _key(name))
        elif status in _BAD:
            marked = ", ".join(marts[test]) or "no mart"
            raise_alert(
                connection,
                KIND,
                "notice" if status == "warn" else "warning",
                _key(name),
                f"Data test {name} does not pass since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; it concerns {marked}.",
                {"test": name, "marts": marts[test], "status": status, "message": str(result.message or "")[:500]},
            )


def _key(test: str) -> str:
    return f"{KIND}:{test}"
