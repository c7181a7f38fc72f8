"""One supervisor per home."""

from pathlib import Path

import pytest

from app.supervisor.state import HomeLock, read_state
from streams.market.errors import ConfigurationError


def test_a_second_start_is_refused_with_the_addresses_of_the_first(tmp_path: Path) -> None:
    first = HomeLock(tmp_path)
    first.acquire()
    first.publish({"api": "http://127.0.0.1:8000"}, is_ready=True)
    with pytest.raises(ConfigurationError, match=r"already runs.*http://127\.0\.0\.1:8000"):
        HomeLock(tmp_path).acquire()
    first.release()


def test_nothing_is_left_after_a_release(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    lock.acquire()
    lock.publish({}, is_ready=True)
    lock.release()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_state_without_its_lock_counts_as_not_running(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    lock.acquire()
    lock.publish({"api": "x"}, is_ready=True)
    assert read_state(tmp_path) is not None
    kept = lock.state_path.read_text()
    lock.release()
    lock.state_path.write_text(kept)
    assert read_state(tmp_path) is None
