"""The views of the warehouse that are always there: their queries as dbt compiled them.

`up` makes them before anything reads, a build of dbt keeps them by the same function of the database
(`streams.storage.store.warehouse`). Knows nothing of Dagster, and dbt only by its manifest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from streams.storage.store.warehouse import LiveView

MATERIALIZATION = "live_view"


def is_live(node: Mapping[str, Any]) -> bool:
    """Return whether a node of the manifest is a model that is always there as a view."""
    return bool(node["resource_type"] == "model" and node["config"]["materialized"] == MATERIALIZATION)


def compiled_views(manifest: Mapping[str, Any]) -> list[LiveView]:
    """Return the views of a compiled manifest, each after those it reads; their queries name no database.

    Raises:
        KeyError: If the manifest was only parsed.
    """
    nodes = {key: node for key, node in manifest["nodes"].items() if is_live(node)}
    above = {key: [up for up in node["depends_on"]["nodes"] if up in nodes] for key, node in sorted(nodes.items())}
    ordered = (nodes[key] for key in TopologicalSorter(above).static_order())
    return [
        LiveView(node["schema"], node["alias"], node["compiled_code"].replace(f'"{node["database"]}".', ""))
        for node in ordered
    ]


def store_views(path: Path, views: Sequence[LiveView]) -> None:
    """Write the views to a file."""
    path.write_text(json.dumps([asdict(view) for view in views]))


def stored_views(path: Path) -> list[LiveView]:
    """Return the views a file holds."""
    return [LiveView(**view) for view in json.loads(path.read_bytes())]


def tests_below(manifest: Mapping[str, Any], schema: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (id of a data test, names of the models of `schema` that stand on what it tests), for every test."""
    children: dict[str, set[str]] = {}
    for key, node in manifest["nodes"].items():
        for up in node["depends_on"]["nodes"]:
            children.setdefault(up, set()).add(key)
    for key, node in manifest["nodes"].items():
        if node["resource_type"] != "test":
            continue
        attached = node.get("attached_node")
        reached = set[str]()
        waiting = [attached] if attached else list(node["depends_on"]["nodes"])
        while waiting:
            model = waiting.pop()
            if model not in reached:
                reached.add(model)
                waiting.extend(children.get(model, ()))
        models = (manifest["nodes"][model] for model in reached if model in manifest["nodes"])
        marts = {m["name"] for m in models if m["resource_type"] == "model" and m["schema"] == schema}
        yield key, sorted(marts)
