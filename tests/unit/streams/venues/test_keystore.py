"""The keystore: nothing readable on disk, nothing lost, live keys only behind a passphrase."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from streams.market.errors import ConfigurationError
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.credentials.keystore import Keystore, ensure_sandbox_credentials

KALSHI = {"key_id": "key-1", "private_key_pem": "pem-text-that-is-secret"}


def settings(home: Path, **more: Any) -> Settings:
    return Settings(_env_file=None, home=home, **more)


def test_an_entry_comes_back_and_its_text_is_not_in_the_file(tmp_path: Path) -> None:
    keystore = Keystore(settings(tmp_path))
    keystore.set("kalshi-demo", KALSHI)
    assert keystore.list() == ["kalshi-demo"]
    assert Keystore(settings(tmp_path)).get("kalshi-demo") == KALSHI
    on_disk = (tmp_path / "keystore.json").read_text()
    assert "pem-text" not in on_disk
    assert "key-1" not in on_disk
    for name in ("keystore.json", "keystore.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_credentials_never_show_their_secrets(tmp_path: Path) -> None:
    keystore = Keystore(settings(tmp_path))
    keystore.set("kalshi-sandbox", KALSHI)
    credentials = keystore.kalshi("sandbox")
    assert credentials is not None
    assert "pem-text" not in repr(credentials)
    assert keystore.polymarket("sandbox") is None


def test_live_keys_are_refused_without_a_passphrase(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="CROSSBOOK_KEYSTORE_PASSPHRASE"):
        Keystore(settings(tmp_path)).set("kalshi-live", KALSHI)
    Keystore(settings(tmp_path, keystore_passphrase="a long one")).set("kalshi-live", KALSHI)
    assert not (tmp_path / "keystore.key").exists()


def test_a_wrong_or_missing_passphrase_opens_nothing(tmp_path: Path) -> None:
    Keystore(settings(tmp_path, keystore_passphrase="right")).set("kalshi-live", KALSHI)
    for given in ({"keystore_passphrase": "wrong"}, {}):
        with pytest.raises(ConfigurationError, match="PASSPHRASE") as raised:
            Keystore(settings(tmp_path, **given)).get("kalshi-live")
        assert "right" not in str(raised.value)


def test_an_entry_moved_to_another_name_does_not_open(tmp_path: Path) -> None:
    keystore = Keystore(settings(tmp_path))
    keystore.set("kalshi-demo", KALSHI)
    path = tmp_path / "keystore.json"
    document = json.loads(path.read_text())
    document["entries"]["kalshi-sandbox"] = document["entries"].pop("kalshi-demo")
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        keystore.get("kalshi-sandbox")


def test_removing_says_whether_there_was_one(tmp_path: Path) -> None:
    keystore = Keystore(settings(tmp_path))
    keystore.set("openai", {"key": "x"})
    assert keystore.remove("openai")
    assert not keystore.remove("openai")
    assert keystore.list() == []


@pytest.mark.parametrize("name", ["", "Kalshi", "a b", "../x", "x" * 65])
def test_names_that_cannot_be_meant_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError):
        Keystore(settings(tmp_path)).set(name, {"a": "b"})


def test_an_entry_a_client_could_not_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="private_key_pem"):
        Keystore(settings(tmp_path)).set("kalshi-demo", {"key_id": "x"})
    with pytest.raises(ConfigurationError, match="passphrase"):
        Keystore(settings(tmp_path)).set(
            "polymarket-demo", {"private_key": "0x1", "address": "0x2", "api_key": "k", "secret": "s"}
        )


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keystore.json"
    path.write_text("{")
    with pytest.raises(ConfigurationError, match=r"keystore\.json"):
        Keystore(settings(tmp_path)).set("openai", {"key": "x"})
    assert path.read_text() == "{"


def test_sandbox_keys_are_made_once_and_the_venue_side_is_written(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    ensure_sandbox_credentials(chosen)
    path = tmp_path / "sandbox" / "accounts.json"
    first = path.read_bytes()
    ensure_sandbox_credentials(chosen)
    assert path.read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    accounts = json.loads(first)
    keystore = Keystore(chosen)
    kalshi, polymarket = keystore.kalshi("sandbox"), keystore.polymarket("sandbox")
    assert kalshi is not None
    assert polymarket is not None
    assert accounts["kalshi"][0]["key_id"] == kalshi.key_id
    assert load_pem_public_key(accounts["kalshi"][0]["public_key_pem"].encode())
    assert accounts["polymarket"][0]["address"] == polymarket.address
    assert "PRIVATE" not in first.decode()
    assert polymarket.private_key.get_secret_value() not in first.decode()


@pytest.mark.parametrize(
    ("venues", "setting", "address"),
    [
        ("sandbox", "kalshi_rest_url", "https://external-api.kalshi.com/trade-api/v2"),
        ("sandbox", "kalshi_ws_url", "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2"),
        ("sandbox", "polymarket_clob_url", "https://CLOB.polymarket.com"),
        ("sandbox", "polymarket_relayer_url", "https://relayer-v2.polymarket.com."),
        ("demo", "kalshi_rest_url", "https://api.elections.kalshi.com/trade-api/v2"),
        ("live", "kalshi_rest_url", "https://demo-api.kalshi.co/trade-api/v2"),
        ("live", "kalshi_rest_url", "http://external-api.kalshi.com/trade-api/v2"),
    ],
)
def test_an_address_of_another_environment_is_refused(tmp_path: Path, venues: str, setting: str, address: str) -> None:
    with pytest.raises(ConfigurationError, match=f"CROSSBOOK_{setting.upper()}"):
        endpoints(settings(tmp_path, venues=venues, **{setting: address}))


def test_an_address_of_the_same_environment_or_of_nobody_is_taken(tmp_path: Path) -> None:
    other = "https://api.elections.kalshi.com/trade-api/v2"
    assert endpoints(settings(tmp_path, venues="live", kalshi_rest_url=other)).kalshi_rest == other
    clob = "https://clob.polymarket.com"
    assert endpoints(settings(tmp_path, venues="demo", polymarket_clob_url=clob)).clob == clob
    mine = "https://notkalshi.com/trade-api/v2"
    assert endpoints(settings(tmp_path, venues="sandbox", kalshi_rest_url=mine)).kalshi_rest == mine


def test_the_sandbox_is_reached_on_loopback_and_overrides_win(tmp_path: Path) -> None:
    found = endpoints(settings(tmp_path, kalshi_sandbox_port=1234, polymarket_clob_url="http://127.0.0.1:9/x/"))
    assert found.kalshi_rest == "http://127.0.0.1:1234/trade-api/v2"
    assert found.gamma == "http://127.0.0.1:8602/gamma"
    assert found.clob == "http://127.0.0.1:9/x"
    with pytest.raises(ConfigurationError, match="CROSSBOOK_KALSHI_WS_URL"):
        endpoints(settings(tmp_path, kalshi_ws_url="http://127.0.0.1"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"secret": ""}, "secret"),
        ({"signature_type": "4"}, "signature_type"),
        ({"signature_type": "3"}, "funder"),
    ],
)
def test_a_wallet_that_could_not_sign_is_refused_by_the_name_of_what_it_lacks(
    changes: dict[str, str], named: str
) -> None:
    fields = {"private_key": "0x1", "address": "0x2", "api_key": "k", "secret": "s", "passphrase": "p"}
    assert PolymarketCredentials.from_fields(fields).wallet == "0x2"
    wallet = fields | {"signature_type": "3", "funder": "0x3"}
    assert PolymarketCredentials.from_fields(wallet).wallet == "0x3"
    with pytest.raises(ConfigurationError, match=named):
        PolymarketCredentials.from_fields(fields | changes)
