"""What is checked before a start."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.doors.accounts import Accounts
from app.doors.roles import Role
from app.supervisor.checks import preflight
from streams.market.errors import ConfigurationError
from streams.settings import Settings


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
    def full(**_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preflight.tempfile, "TemporaryFile", full)
    with pytest.raises(ConfigurationError, match="is full"):
        preflight.check_home(tmp_path, min_free_mb=0)


def test_a_home_can_be_looked_at_by_several_at_once(tmp_path: Path) -> None:
    def look(_: int) -> None:
        for _ in range(200):
            preflight.check_home(tmp_path, min_free_mb=0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(8)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("libc", "is_refused"), [(("glibc", "2.27"), True), (("glibc", "2.36"), False)])
def test_an_old_glibc_is_refused(monkeypatch: pytest.MonkeyPatch, libc: tuple[str, str], is_refused: bool) -> None:
    monkeypatch.setattr(preflight.platform, "libc_ver", lambda: libc)
    if is_refused:
        with pytest.raises(ConfigurationError, match=r"2\.28"):
            preflight.check_platform()
    else:
        preflight.check_platform()


def test_a_disk_without_inodes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "free_inodes", lambda folders: 12.0)
    with pytest.raises(ConfigurationError, match=r"12 inodes are free .*each new file"):
        preflight.check_home(tmp_path, min_free_mb=1)


LIVE = {"venues": "live", "trading": "live"}
ISSUER = {"oidc_issuer": "https://id.example", "oidc_client_id": "crossbook"}


def test_live_trading_needs_somebody_who_can_prove_who_they_are(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    live = Settings(home=tmp_path, **LIVE)
    accounts.add_person("Olga", Role.OWNER, by="test")  # signs in by links
    accounts.add_person("Rea", Role.REVIEWER, by="test", password="correct horse battery")
    for harmless in ({}, {"venues": "live"}, {"venues": "demo", "trading": "live"}):
        preflight.check_people(Settings(home=tmp_path, **harmless))
    with pytest.raises(ConfigurationError, match="crossbook users add NAME --role trader --with-password"):
        preflight.check_people(live)
    accounts.add_person("Tom", Role.TRADER, by="test", password="correct horse battery")
    preflight.check_people(live)
    accounts.set_active("Tom", is_active=False)
    with pytest.raises(ConfigurationError, match="Live trading needs"):
        preflight.check_people(live)
    accounts.set_password("Olga", "correct horse battery")
    preflight.check_people(live)


@pytest.mark.parametrize(
    ("subject", "issuer", "is_enough"),
    [
        ("https://id.example u-1", ISSUER, True),
        ("mailto:ada@example.com https://id.example", ISSUER, True),
        ("https://id.example u-1", {}, False),
        ("https://other.example u-1", ISSUER, False),
        ("https://id.example.evil u-1", ISSUER, False),
    ],
)
def test_live_trading_takes_an_account_of_the_provider_that_is_set(
    tmp_path: Path, subject: str, issuer: dict[str, str], is_enough: bool
) -> None:
    Accounts(tmp_path).add_person("Tom", Role.TRADER, by="test", subject=subject)
    live = Settings(home=tmp_path, **LIVE, **issuer)
    if is_enough:
        preflight.check_people(live)
    else:
        with pytest.raises(ConfigurationError, match="Live trading needs"):
            preflight.check_people(live)
