"""What a person does to a sensor on Dagster's pages, over the same GraphQL API."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.support.whole_home import Home

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


def sensor_states(home: Home) -> dict[str, str]:
    """Return the status of every sensor by name: RUNNING or STOPPED."""
    return {sensor["name"]: sensor["sensorState"]["status"] for sensor in _sensors(home)}


def stop_sensor(home: Home, name: str) -> None:
    """Stop a sensor as its switch on the page does.

    Raises:
        RuntimeError: If Dagster refuses.
    """
    state = next(sensor["sensorState"] for sensor in _sensors(home) if sensor["name"] == name)
    answer = _ask(home, _STOP, {"id": state["id"]})["stopSensor"]
    if answer["__typename"] != "StopSensorMutationResult":
        raise RuntimeError(f"Dagster did not stop {name}: {answer}")


def stops_of_everything(home: Home) -> str:
    """Return one mutation that stops every sensor."""
    states = [sensor["sensorState"]["id"] for sensor in _sensors(home)]
    stops = (f"s{number}: stopSensor(id: {json.dumps(state)}) {{ __typename }}" for number, state in enumerate(states))
    return f"mutation {{ {' '.join(stops)} }}"


def _sensors(home: Home) -> list[dict[str, Any]]:
    nodes = _ask(home, _SENSORS, {})["repositoriesOrError"]["nodes"]
    return [sensor for node in nodes for sensor in node["sensors"]]


def _ask(home: Home, query: str, variables: dict[str, str]) -> dict[str, Any]:
    body = {"query": query, "variables": variables}
    response = httpx.post(home.address("DAGSTER_PORT", "/graphql"), json=body, headers=home.bearer(), timeout=30)
    response.raise_for_status()
    document = response.json()
    if "errors" in document:
        raise RuntimeError(f"Dagster refused: {document['errors'][0].get('message')}")
    data: dict[str, Any] = document["data"]
    return data
