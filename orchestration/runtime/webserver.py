"""Dagster's pages and GraphQL on a Unix socket: what `dagster-webserver` does, without a port of its own.

`python -m orchestration.runtime.webserver`: only the proxy of the doors reaches it, and the supervisor.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__

from orchestration.runtime.dagster_version import check_version
from streams.logs import configure_logs
from streams.outermost import run_guarded
from streams.private_folders import home_socket
from streams.processes.unix_server import serve_on_socket
from streams.settings import PROJECT_ROOT, load_settings

SOCKET = "dagster.sock"
# As `dagster-webserver` has them by default.
_STATEMENT_TIMEOUT_MS = 15_000
_POOL_RECYCLE_S = 3_600
_POOL_OVERFLOW_MAX = 20
_POLL_MS = 2_000


def main() -> int:
    """Serve until a signal; return the exit code."""
    check_version()
    settings = load_settings()
    configure_logs(settings.log_level)
    with _workspace() as workspace:
        app = create_app_from_workspace_process_context(workspace, live_data_poll_rate=_POLL_MS)
        serve_on_socket(app, home_socket(settings.home_dir, SOCKET), log_level="warning")
    return 0


@contextmanager
def _workspace() -> Iterator[WorkspaceProcessContext]:
    """Give the instance of DAGSTER_HOME with the code location of workspace.yaml."""
    target = WorkspaceFileTarget([str(PROJECT_ROOT / "workspace.yaml")])
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _POOL_OVERFLOW_MAX)
        with WorkspaceProcessContext(instance, target, version=__version__) as workspace:
            yield workspace


if __name__ == "__main__":
    sys.exit(run_guarded(main))
