"""What a new release of a venue may bring at any time: fields and enum values nobody has seen. On request only."""

from __future__ import annotations

from typing import Any

UNKNOWN_WORD = "something_new"
_ENUMS = frozenset({
    "price_level_structure", "settlement_bounds_type", "frequency", "last_update_reason", "usage_tier",
    "feeType", "sportsMarketType", "comboStatus", "module",
})  # fmt: skip
"""Words both venues have added to before."""


def with_schema_drift(body: Any) -> Any:
    """Return a copy of JSON values with one unknown field in every object and unknown words in open enums."""
    if isinstance(body, dict):
        changed = {
            name: UNKNOWN_WORD if name in _ENUMS and isinstance(value, str) else with_schema_drift(value)
            for name, value in body.items()
        }
        return {**changed, "x_new_field": {"since": "a later release"}}
    if isinstance(body, list):
        return [with_schema_drift(value) for value in body]
    return body
