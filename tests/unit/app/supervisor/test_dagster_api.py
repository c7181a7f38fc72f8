"""What the supervisor asks Dagster: no answer, or one without sense, ends nothing and starts nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.supervisor.dagster_api import DagsterApi
from streams.market.errors import TransientError

_REPOSITORIES = {"repositoriesOrError": {"nodes": [{"name": "r", "location": {"name": "l"}}]}}


class Webserver(DagsterApi):
    """Keeps the runs it was asked to launch, also those whose launch it does not answer."""

    def __init__(self) -> None:
        super().__init__(Path("dagster.sock"))
        self.runs: list[dict[str, Any]] = []
        self.answers_launches = True
        self.keeps_launches = True

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "launchRun" in query:
            [tag] = variables["tags"]
            if self.keeps_launches:
                self.runs.append({"runId": f"run{len(self.runs)}", "jobName": "j", "status": "QUEUED", "tag": tag})
            if not self.answers_launches:
                raise TransientError("Dagster does not answer: TimeoutError")
            return {"launchRun": {"__typename": "LaunchRunSuccess", "run": self.runs[-1]}}
        if "runsOrError" in query:
            [tag] = variables["filter"]["tags"]
            return {"runsOrError": {"results": [run for run in self.runs if run["tag"] == tag]}}
        return _REPOSITORIES


def test_a_launch_that_was_not_answered_is_found_again_and_not_repeated() -> None:
    dagster = Webserver()
    dagster.answers_launches = False
    with pytest.raises(TransientError):
        dagster.launch("first_pass")
    assert dagster.launch("first_pass") == "run0"
    assert len(dagster.runs) == 1
    dagster.answers_launches = True
    assert dagster.launch("first_pass") == "run1"


def test_a_launch_that_never_arrived_is_repeated() -> None:
    dagster = Webserver()
    dagster.answers_launches = dagster.keeps_launches = False
    with pytest.raises(TransientError):
        dagster.launch("first_pass")
    dagster.answers_launches = dagster.keeps_launches = True
    assert dagster.launch("first_pass") == "run0"
    assert dagster.launch("first_pass") == "run1"


@pytest.mark.parametrize("data", [{}, {"runOrError": None, "instance": None, "workspaceOrError": None}])
def test_an_answer_without_what_was_asked_is_none(data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    dagster = DagsterApi(Path("dagster.sock"))
    monkeypatch.setattr(dagster, "_ask", lambda *_: data)
    assert dagster.load_error() == ""
    assert dagster.heartbeats() is None
    for act in (lambda: dagster.run_status("x"), dagster.unfinished_runs, lambda: dagster.launch("j")):
        with pytest.raises(TransientError):
            act()
