"""What is checked before a start."""

import os
import socket
from pathlib import Path

import pytest

from app.supervisor import preflight
from streams.market.errors import ConfigurationError


def test_a_taken_port_names_its_holder_and_the_setting() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused:
            preflight.check_ports({"api_port": port})
    assert "CROSSBOOK_API_PORT" in str(refused.value)
    assert f"pid {os.getpid()}" in str(refused.value)


def test_a_port_named_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="CROSSBOOK_API_PORT and CROSSBOOK_DAGSTER_PORT are both"):
        preflight.check_ports({"dagster_port": 45_871, "api_port": 45_871})


def test_too_little_disk_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="CROSSBOOK_MIN_FREE_DISK_MB"):
        preflight.check_home(tmp_path, min_free_mb=10**9)


def test_a_full_disk_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ConfigurationError, match="is full"):
        preflight.check_home(tmp_path, min_free_mb=0)


@pytest.mark.parametrize(("libc", "is_refused"), [(("glibc", "2.27"), True), (("glibc", "2.36"), False)])
def test_an_old_glibc_is_refused(monkeypatch: pytest.MonkeyPatch, libc: tuple[str, str], is_refused: bool) -> None:
    monkeypatch.setattr(preflight.platform, "libc_ver", lambda: libc)
    if is_refused:
        with pytest.raises(ConfigurationError, match=r"2\.28"):
            preflight.check_platform()
    else:
        preflight.check_platform()
