"""What no import contract can say of the rooms: nothing is read at import, and Dagster's private parts stay in one."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from streams.settings import PROJECT_ROOT

PACKAGES = ("streams", "orchestration", "app")


def test_no_settings_are_read_while_a_module_is_imported() -> None:
    # A page of the dashboard and the migrations' environment are scripts: each import of them is a run of them.
    script = """
import importlib, pkgutil, streams.settings as settings
def refuse(*_, **__):
    raise AssertionError("settings are read at import")
settings.load_settings = settings.Settings.__init__ = refuse
for package in ("streams", "orchestration", "app"):
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        parts = found.name.split(".")
        if not {"pages", "migrations", "__main__"} & set(parts):
            importlib.import_module(found.name)
            print(found.name)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    imported = done.stdout.split()
    assert {"orchestration.definitions", "orchestration.defs.warehouse.definitions"} <= set(imported)


def test_only_the_runtime_imports_private_modules_of_dagster() -> None:
    users = {
        str(path.relative_to(PROJECT_ROOT).parent)
        for package in PACKAGES
        for path in (PROJECT_ROOT / package).rglob("*.py")
        for name in imported_modules(path)
        if name.split(".")[0].startswith("dagster") and any(part.startswith("_") for part in name.split("."))
    }
    assert users == {"orchestration/runtime", "orchestration/runtime/failures"}


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
