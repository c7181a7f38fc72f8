"""The runner of mutants on a small project of its own: what each test sees is killed, what none sees survives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = {
    "orchestration/limits.py": """
MOST = 5
TABLE = {"a": 1}


def is_small(size, most=MOST):
    if size < 0:
        raise ValueError(size)
    return size <= most


def unseen(size):
    return size + 1


def forever(size):
    while size > 0:
        size -= 1
    return size
""",
    "orchestration/user.py": "from orchestration.limits import MOST, is_small\n\nTWICE = 2 * MOST\n",
    "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef postgres_dsn():\n    raise AssertionError\n",
    "tests/unit/test_limits.py": """
import pytest

from orchestration.limits import TABLE, forever, is_small
from orchestration.user import TWICE


def test_small():
    assert is_small(5) is True
    assert is_small(6) is False


def test_negative():
    with pytest.raises(ValueError):
        is_small(-1)


def test_constants():
    assert (TWICE, TABLE) == (10, {"a": 1})


def test_forever():
    assert forever(2) == 0


def test_database(postgres_dsn):
    assert forever(2) == 0
""",
    "tests/unit/test_other.py": "def test_other():\n    assert True\n",
}
DRIVER = """
import json, sys
from pathlib import Path
from tests.mutation import dependents, installing, running, targets
root = Path.cwd()
for module in (dependents, installing, running, targets):
    module.ROOT = root
running._LEAST_S = 3.0
running._TIMES_AS_LONG = 1.0
from tests.mutation.mutants import mutants
file = root / "orchestration/limits.py"
tests = dependents.importing_tests(root / "tests/unit", [file])
run = running.MutationRun([file], mutants("orchestration/limits.py", file.read_text()), 2, lambda done: None)
run.run(tests)
fates = {mutant.name: fate for mutant, fate in run.fates.items()}
print(json.dumps([[test.name for test in tests], run.failed, fates]), file=sys.stderr)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\naddopts = --import-mode=importlib\n")
    (tmp_path / "tests/mutation").symlink_to(ROOT / "tests/mutation")
    return tmp_path


def run(project: Path) -> tuple[list[str], list[str], dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], cwd=project, capture_output=True, text=True, timeout=280, check=False
    )
    try:
        tests, failed, fates = json.loads(done.stderr.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise AssertionError(done.stdout + done.stderr) from None
    return tests, failed, {name.removeprefix("orchestration/limits.py "): fate for name, fate in fates.items()}


def test_each_mutant_meets_the_tests_that_touch_it(project: Path) -> None:
    tests, failed, fates = run(project)
    assert tests == ["test_limits.py"]
    assert failed == []
    assert fates["is_small: size <= most -> size < most"] == "killed"
    assert fates["is_small: raise ValueError(size) -> pass"] == "killed"
    assert fates["is_small: size < 0 -> size <= 0"] == "survived"
    assert fates["unseen: size + 1 -> size - 1"] == "never run"
    assert fates["forever: size -= 1 -> pass"] == "timed out"
    # constants, which are read while modules are imported, by others too
    assert fates["(top): 5 -> 6"] == fates["(top): 5 -> 4"] == fates["(top): 1 -> 2"] == "killed"


def test_runs_are_equal(project: Path) -> None:
    assert run(project) == run(project)


def test_no_mutant_is_run_where_a_test_fails_as_things_are(project: Path) -> None:
    (project / "tests/unit/test_limits.py").write_text(FILES["tests/unit/test_limits.py"].replace("== 0", "== 9"))
    _, failed, fates = run(project)
    assert len(failed) == 1
    assert "test_forever" in failed[0]
    assert fates == {}
