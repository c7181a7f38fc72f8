"""The embedded server itself: it is found and ended wherever its folder has gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.process_id import pid_with_arguments
from streams.settings import load_settings
from streams.storage.database import embedded_server
from tests.support.ports import free_port


@pytest.mark.parametrize(
    "lose", [lambda home: home.rename(home.with_name("elsewhere")), shutil.rmtree], ids=["moved", "removed"]
)
def test_a_server_whose_home_is_gone_is_ended_all_the_same(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    home = tmp_path / "home"
    server = embedded_server(load_settings(home=home, postgres_port=free_port()))
    server.start()
    where = str(server.data_dir).encode()
    assert pid_with_arguments(b"-D", where) == server.running_pid()
    lose(home)
    server.destroy()
    assert pid_with_arguments(b"-D", where) is None
