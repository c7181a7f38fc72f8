"""The sockets behind the doors: who may enter, what a killed process leaves, homes with long names, and localhost."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.doors.roles import Role
from streams.market.errors import ConfigurationError
from streams.private_folders import home_socket, temporary_folder
from streams.processes.handover import listen_at
from streams.settings import PROJECT_ROOT, setting_name
from streams.venues.common.http import HttpRequest, whole_exchange
from tests.support.doors import Recorded, open_doors
from tests.support.ports import free_port
from tests.support.whole_home import wait_for


@contextmanager
def api_of(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the API on its socket; it needs no database to answer what it is."""
    environment = {**os.environ, setting_name("home"): str(home)}
    command = [sys.executable, "-m", "app.api", "--socket"]
    with subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            assert wait_for(lambda: answers(home), 60, 0.1) is not None
            yield process
        finally:
            process.kill()


def answers(home: Path) -> bool:
    try:
        request = HttpRequest("GET", "http://127.0.0.1/openapi.json")
        return whole_exchange(request, 5, home_socket(home, "api.sock")).is_success
    except httpx.HTTPError:
        return False


def test_a_socket_that_a_killed_server_left_is_replaced_and_an_ended_one_leaves_none(tmp_path: Path) -> None:
    path = home_socket(tmp_path, "api.sock")
    with api_of(tmp_path) as killed:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        killed.kill()
        killed.wait()
    assert path.exists()
    with api_of(tmp_path) as ended:
        ended.send_signal(signal.SIGTERM)
        assert ended.wait(20) == 0
    assert not path.exists()


def test_a_folder_that_others_can_write_takes_no_socket(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="can be written by others"):
        listen_at(folder / "api.sock")


def test_a_home_whose_path_is_too_long_for_a_socket_is_served_all_the_same(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30)
    behind = Recorded()
    try:
        with open_doors(home, {"dashboard": behind}) as doors:
            assert httpx.get(doors.url("dashboard"), headers=doors.bearer()).text == "behind"
            assert stat.S_IMODE(temporary_folder("run", home).stat().st_mode) == 0o700
    finally:
        home_socket(home, "dashboard.sock").unlink(missing_ok=True)
        temporary_folder("run", home).rmdir()


def test_localhost_leads_to_the_doors_over_both_protocols(tmp_path: Path) -> None:
    with open_doors(tmp_path / "home", {"dashboard": Recorded()}) as doors:
        port = doors.port("dashboard")
        assert httpx.get(f"http://localhost:{port}/", headers=doors.bearer()).text == "behind"
        try:
            socket.create_connection(("::1", port), 5).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
        assert httpx.get(f"http://[::1]:{port}/", headers=doors.bearer()).text == "behind"


def test_a_second_start_of_the_doors_says_which_port_is_taken(tmp_path: Path) -> None:
    with open_doors(tmp_path / "home", {}) as doors:
        doors.person("ann", Role.OWNER)
        ports = {"dagster_port": doors.port("dagster"), "dashboard_port": free_port(), "api_port": free_port()}
        given = {setting_name(name): str(port) for name, port in ports.items()}
        environment = {**os.environ, **given, setting_name("home"): str(tmp_path / "other")}
        command = [sys.executable, "-m", "app.doors"]
        done = subprocess.run(command, env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert f"Port {ports['dagster_port']} cannot be opened: Address already in use." in done.stderr
