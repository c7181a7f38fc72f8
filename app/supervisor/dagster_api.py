"""The few questions the supervisor asks Dagster, over its GraphQL API (importing Dagster would cost seconds)."""

from __future__ import annotations

from typing import Any

import httpx

from orchestration.tags import UNFINISHED
from streams.market.errors import TransientError

_LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, mode: "default"}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_RUNS = """
query Runs($filter: RunsFilter!) {
  runsOrError(filter: $filter, limit: 200) { ... on Runs { results { runId jobName status } } }
}
"""
_END = """
mutation End($runIds: [String!]!) {
  terminateRuns(runIds: $runIds, terminatePolicy: SAFE_TERMINATE) { __typename }
}
"""
_LOCATION = """
query { repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }
"""


class DagsterApi:
    """A client of one webserver on loopback.

    Raises (every method):
        TransientError: If the webserver does not answer as it should.
    """

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/graphql"

    def is_loaded(self) -> bool:
        """Return whether the code location is loaded; False also while the webserver does not answer."""
        try:
            return bool(self._repositories())
        except TransientError:
            return False

    def launch(self, job: str) -> str:
        """Start a job with its default configuration; return the run id."""
        repository = self._repositories()[0]
        selector = {
            "pipelineName": job,
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
        }
        answer = self._ask(_LAUNCH, {"selector": selector})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise TransientError(f"Dagster did not start {job}: {answer}")
        return str(answer["run"]["runId"])

    def unfinished_runs(self) -> list[dict[str, str]]:
        """Return the runs that have not ended: `{"runId", "jobName", "status"}` each."""
        answer = self._ask(_RUNS, {"filter": {"statuses": list(UNFINISHED)}})
        runs: list[dict[str, str]] = answer["runsOrError"].get("results", [])
        return runs

    def end_runs(self, run_ids: list[str]) -> None:
        """Ask runs to end, so that they count as canceled and not as failed. Does not wait."""
        self._ask(_END, {"runIds": run_ids})

    def _repositories(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self._ask(_LOCATION, {})["repositoriesOrError"].get("nodes", [])
        return nodes

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            response = httpx.post(self._url, json={"query": query, "variables": variables}, timeout=20)
            response.raise_for_status()
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise TransientError(f"Dagster does not answer: {error}") from None
        if body.get("errors"):
            raise TransientError(f"Dagster refused: {body['errors'][0].get('message')}")
        data: dict[str, Any] = body["data"]
        return data
