"""The faces stay light: the read layer knows no framework, and none of them imports Dagster."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("app.queries.status, app.operator_actions", ("streamlit", "fastapi", "dagster", "pandas", "plotly")),
        ("app.api.main", ("streamlit", "dagster", "pandas")),
        ("app.dashboard.views.overview", ("fastapi", "dagster")),
    ],
)
def test_an_import_does_not_pull_in(modules: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {modules}; print([name for name in {forbidden!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
