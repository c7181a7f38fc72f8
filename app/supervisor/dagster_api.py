"""The few questions the supervisor asks Dagster, over its GraphQL API (importing Dagster would cost seconds)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson

from orchestration.tags import LAUNCH_TAG, UNFINISHED
from streams.market.errors import TransientError
from streams.venues.common.http import HttpRequest, whole_exchange
from streams.venues.common.responses import document_of, part_of, read

_LIMIT_S = 20.0
_LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]!) {
  launchRun(executionParams: {selector: $selector, mode: "default", executionMetadata: {tags: $tags}}) {
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
_RUN = ("runId", "jobName", "status")
_END = """
mutation End($runIds: [String!]!) {
  terminateRuns(runIds: $runIds, terminatePolicy: SAFE_TERMINATE) { __typename }
}
"""
_LOCATION = """
query { repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }
"""
_LOAD_ERROR = """
query {
  workspaceOrError {
    ... on Workspace { locationEntries { locationOrLoadError { ... on PythonError { message stack } } } }
  }
}
"""
_STATUS = """
query Status($runId: ID!) { runOrError(runId: $runId) { ... on Run { status } } }
"""
_HEARTBEATS = """
query {
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy lastHeartbeatTime } } }
}
"""


TRADING_JOBS = frozenset({"hedged_trade", "hedge"})
"""Jobs whose runs trade signals."""


class DagsterApi:
    """A client of one webserver.

    Args:
        path: The Unix socket it listens on.

    Raises (every method):
        TransientError: If the webserver does not answer as it should.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unanswered: dict[str, str] = {}

    def is_loaded(self) -> bool:
        """Return whether the code location is loaded; False also while the webserver does not answer."""
        try:
            return bool(self._repositories())
        except TransientError:
            return False

    def load_error(self) -> str:
        """Return why the code location did not load, with its stack; empty where it did, or where nobody knows."""
        try:
            return read(part_of(self._ask(_LOAD_ERROR, {}), "workspaceOrError"), _load_errors)
        except TransientError:
            return ""

    def run_status(self, run_id: str) -> str:
        """Return the state of a run by its name in Dagster; empty where there is no such run."""
        return str(part_of(self._ask(_STATUS, {"runId": run_id}), "runOrError").get("status", ""))

    def heartbeats(self) -> dict[str, float | None] | None:
        """Return when each daemon that is needed gave its last sign of life; None while the webserver does not answer.

        One that is missing, or is None, never gave any.
        """
        try:
            return read(part_of(self._ask(_HEARTBEATS, {}), "instance"), _beats)
        except TransientError:
            return None

    def launch(self, job: str) -> str:
        """Start a job with its default configuration; return the run id.

        A launch that was not answered may have succeeded: its run is looked for by its tag before another is started.
        """
        repositories = self._repositories()
        if not repositories:
            raise TransientError(f"Dagster has not loaded the code, so {job} cannot start")
        mark = self._unanswered.get(job)
        started = [] if mark is None else self._runs({"tags": [{"key": LAUNCH_TAG, "value": mark}]})
        if started:
            del self._unanswered[job]
            return started[0]["runId"]
        mark = self._unanswered.setdefault(job, uuid4().hex)
        repository = repositories[0]
        selector = {
            "pipelineName": job,
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
        }
        tags = [{"key": LAUNCH_TAG, "value": mark}]
        answer = part_of(self._ask(_LAUNCH, {"selector": selector, "tags": tags}), "launchRun")
        del self._unanswered[job]
        if answer.get("__typename") != "LaunchRunSuccess":
            raise TransientError(f"Dagster did not start {job}: {answer}")
        return read(answer, lambda launched: str(launched["run"]["runId"]))

    def unfinished_runs(self) -> list[dict[str, str]]:
        """Return the runs that have not ended: `{"runId", "jobName", "status"}` each."""
        return self._runs({"statuses": list(UNFINISHED)})

    def runs_of(self, jobs: Collection[str]) -> list[str]:
        """Return the ids of the runs of these jobs that have not ended."""
        return [run["runId"] for run in self.unfinished_runs() if run["jobName"] in jobs]

    def end_runs(self, run_ids: list[str]) -> None:
        """Ask runs to end, so that they count as canceled and not as failed. Does not wait; none are asked nothing."""
        if run_ids:
            self._ask(_END, {"runIds": run_ids})

    def _runs(self, wanted: dict[str, Any]) -> list[dict[str, str]]:
        answer = part_of(self._ask(_RUNS, {"filter": wanted}), "runsOrError")
        return read(
            answer, lambda found: [{name: str(run[name]) for name in _RUN} for run in found.get("results") or []]
        )

    def _repositories(self) -> list[dict[str, Any]]:
        answer = part_of(self._ask(_LOCATION, {}), "repositoriesOrError")
        nodes: list[dict[str, Any]] = answer.get("nodes") or []
        return nodes

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        request = HttpRequest(
            "POST", "http://dagster/graphql", body=orjson.dumps({"query": query, "variables": variables})
        )
        try:
            answer = whole_exchange(request, _LIMIT_S, self._path)
        except (httpx.HTTPError, TimeoutError) as error:
            raise TransientError(f"Dagster does not answer: {type(error).__name__} {error}") from None
        if not answer.is_success:
            raise TransientError(f"Dagster does not answer: HTTP {answer.status}")
        document = document_of(answer.body)
        if document.get("errors"):
            raise TransientError(f"Dagster refused: {document['errors']}"[:500])
        return part_of(document, "data")


def _load_errors(workspace: dict[str, Any]) -> str:
    errors = [entry["locationOrLoadError"] or {} for entry in workspace.get("locationEntries", [])]
    return "\n".join("".join([*error["stack"], error["message"]]) for error in errors if "message" in error)


def _beats(instance: dict[str, Any]) -> dict[str, float | None]:
    statuses = instance["daemonHealth"]["allDaemonStatuses"]
    return {status["daemonType"]: status["lastHeartbeatTime"] for status in statuses if status["required"]}
