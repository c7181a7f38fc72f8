"""What a person does to a sensor on Dagster's pages, over the same GraphQL API."""

from __future__ import annotations

from typing import Any

import httpx

_SENSORS = """
query { repositoriesOrError { ... on RepositoryConnection { nodes {
  sensors { id name sensorState { id selectorId status } } } } } }
"""
_STOP = """
mutation Stop($id: String!) {
  stopSensor(id: $id) {
    __typename
    ... on StopSensorMutationResult { instigationState { status } }
    ... on PythonError { message }
  }
}
"""


def sensor_states(port: int) -> dict[str, str]:
    """Return the status of every sensor by name: RUNNING or STOPPED."""
    return {sensor["name"]: sensor["sensorState"]["status"] for sensor in _sensors(port)}


def stop_sensor(port: int, name: str) -> None:
    """Stop a sensor as its switch on the page does.

    Raises:
        RuntimeError: If Dagster refuses.
    """
    state = next(sensor["sensorState"] for sensor in _sensors(port) if sensor["name"] == name)
    answer = _ask(port, _STOP, {"id": state["id"]})["stopSensor"]
    if answer["__typename"] != "StopSensorMutationResult":
        raise RuntimeError(f"Dagster did not stop {name}: {answer}")


def _sensors(port: int) -> list[dict[str, Any]]:
    nodes = _ask(port, _SENSORS, {})["repositoriesOrError"]["nodes"]
    return [sensor for node in nodes for sensor in node["sensors"]]


def _ask(port: int, query: str, variables: dict[str, str]) -> dict[str, Any]:
    response = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": query, "variables": variables}, timeout=30)
    response.raise_for_status()
    body = response.json()
    if "errors" in body:
        raise RuntimeError(f"Dagster refused: {body['errors'][0].get('message')}")
    data: dict[str, Any] = body["data"]
    return data
