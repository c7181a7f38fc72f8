"""The keystore: nothing readable on disk, nothing lost, live keys only behind a passphrase."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from streams.market.errors import ConfigurationError
from streams.redaction import redact_text
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.credentials.keystore import Keystore, ensure_sandbox_credentials, shares_kalshi_key
from streams.venues.factory import polymarket_relayer

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
    Keystore(settings(tmp_path, keystore_passphrase="a long enough one")).set("kalshi-live", KALSHI)
    assert not (tmp_path / "keystore.key").exists()


def test_a_wrong_or_missing_passphrase_opens_nothing(tmp_path: Path) -> None:
    Keystore(settings(tmp_path, keystore_passphrase="the right passphrase")).set("kalshi-live", KALSHI)
    for given in ({"keystore_passphrase": "the wrong passphrase"}, {}):
        with pytest.raises(ConfigurationError, match="PASSPHRASE") as raised:
            Keystore(settings(tmp_path, **given)).get("kalshi-live")
        assert "the right" not in str(raised.value)


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
    path.chmod(0o600)
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


def test_a_new_entry_needs_twelve_characters_and_an_old_short_passphrase_still_opens_and_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    short = Keystore(settings(tmp_path, keystore_passphrase="elevenchars"))
    with pytest.raises(ConfigurationError, match=r"12 characters.*crossbook keys passphrase"):
        short.set("kalshi-live", KALSHI)
    monkeypatch.setattr("streams.venues.credentials.keystore.PASSPHRASE_MIN", 3)
    short.set("kalshi-live", KALSHI)
    monkeypatch.undo()
    assert short.get("kalshi-live") == KALSHI
    assert short.has_short_passphrase
    said = capsys.readouterr()
    assert "shorter than 12 characters" in said.err + said.out
    assert "elevenchars" not in said.err + said.out


def test_the_old_format_without_parameters_is_read(tmp_path: Path) -> None:
    chosen = settings(tmp_path, keystore_passphrase="a long enough one")
    Keystore(chosen).set("kalshi-live", KALSHI)
    path = tmp_path / "keystore.json"
    document = json.loads(path.read_text())
    assert document["entries"]["kalshi-live"].pop("kdf") == {"name": "scrypt", "n": 32768, "r": 8, "p": 1}
    path.write_text(json.dumps({"version": 1, "entries": document["entries"]}))
    assert Keystore(chosen).get("kalshi-live") == KALSHI
    Keystore(chosen).set("openai", {"key": "x"})
    assert Keystore(chosen).get("kalshi-live") == KALSHI


@pytest.mark.parametrize("kdf", [{"name": "scrypt", "n": 2**40, "r": 8, "p": 1}, {"name": "x"}, [], {"name": "scrypt"}])
def test_parameters_that_would_take_all_memory_open_nothing(tmp_path: Path, kdf: object) -> None:
    chosen = settings(tmp_path, keystore_passphrase="a long enough one")
    Keystore(chosen).set("openai", {"key": "x"})
    path = tmp_path / "keystore.json"
    document = json.loads(path.read_text())
    document["entries"]["openai"]["kdf"] = kdf
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Keystore(chosen).get("openai")


def test_a_live_entry_sealed_with_the_key_file_is_refused_with_the_command_that_reseals_it(tmp_path: Path) -> None:
    keystore = Keystore(settings(tmp_path))
    keystore.set("kalshi-demo", KALSHI)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.venues.credentials.keystore.is_live", lambda _: False)
        keystore.set("kalshi-live", KALSHI)
    with pytest.raises(ConfigurationError, match="crossbook keys passphrase"):
        keystore.get("kalshi-live")
    assert keystore.change_passphrase("a long enough one") == 2
    resealed = Keystore(settings(tmp_path, keystore_passphrase="a long enough one"))
    assert resealed.get("kalshi-live") == resealed.get("kalshi-demo") == KALSHI
    assert not (tmp_path / "keystore.key").exists()


def test_a_change_of_passphrase_that_ends_halfway_leaves_the_old_keystore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Keystore(settings(tmp_path, keystore_passphrase="a long enough one"))
    old.set("kalshi-live", KALSHI)
    before = (tmp_path / "keystore.json").read_bytes()
    with pytest.raises(ConfigurationError, match="12 characters"):
        old.change_passphrase("short")
    with pytest.raises(ConfigurationError, match="zero byte"):
        old.change_passphrase("a long enough one\x00")

    def full(_path: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        old.change_passphrase("another long enough one")
    assert (tmp_path / "keystore.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert old.get("kalshi-live") == KALSHI


def test_no_new_key_file_is_made_because_one_is_missing(tmp_path: Path) -> None:
    keystore = Keystore(settings(tmp_path))
    keystore.set("kalshi-demo", KALSHI)
    (tmp_path / "keystore.key").unlink()
    for act in (lambda: keystore.get("kalshi-demo"), lambda: keystore.set("openai", {"key": "x"})):
        with pytest.raises(ConfigurationError, match=r"keystore\.key is missing"):
            act()
    assert not (tmp_path / "keystore.key").exists()
    assert keystore.list() == ["kalshi-demo"]


@pytest.mark.parametrize("name", ["keystore.json", "keystore.key"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o606])
def test_files_that_others_may_read_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    keystore = Keystore(settings(tmp_path))
    keystore.set("kalshi-demo", KALSHI)
    (tmp_path / name).chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        keystore.get("kalshi-demo")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b"[]", b"{", b'{"entries": []}', b'{"entries": {"a": "b"}}', b'{"entries": {"a": {"key": 1}}}',
        b"\xff\xfe{\x00}\x00", b"[" * 100_000, b'{"version": "x", "entries": {}}', b'{"version": 3, "entries": {}}',
        b'{"entries": null}', b"\x00" * 64,
    ],
)  # fmt: skip
def test_a_file_that_is_no_keystore_is_one_sentence_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keystore.json"
    path.write_bytes(content)
    path.chmod(0o600)
    for act in (Keystore(settings(tmp_path)).list, lambda: Keystore(settings(tmp_path)).get("a")):
        with pytest.raises(ConfigurationError, match=r"keystore\.json") as refused:
            act()
        assert "\n" not in str(refused.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": 5}, {"nonce": "!"}, {"nonce": ""}, {"sealed": "AAAA"}, {"sealed": None}, {"key": "card"},
        {"key": "passphrase"}, {"nonce": "AAAA"},
    ],
)  # fmt: skip
def test_an_entry_that_was_changed_opens_nothing_and_says_so(tmp_path: Path, change: dict[str, Any]) -> None:
    keystore = Keystore(settings(tmp_path))
    keystore.set("openai", {"key": "x"})
    path = tmp_path / "keystore.json"
    document = json.loads(path.read_text())
    document["entries"]["openai"] |= change
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigurationError):
        keystore.get("openai")


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 44, b"!" * 44])
def test_a_key_file_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    keystore = Keystore(settings(tmp_path))
    keystore.set("openai", {"key": "x"})
    (tmp_path / "keystore.key").write_bytes(content)
    for act in (lambda: keystore.get("openai"), lambda: keystore.set("other", {"key": "x"})):
        with pytest.raises(ConfigurationError, match=r"keystore\.key"):
            act()


def test_keys_set_by_two_at_once_are_both_kept(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    Keystore(chosen).set("first", {"a": "b"})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: Keystore(chosen).set(f"key-{number}", {"a": "b"}), range(24)))
    assert len(Keystore(chosen).list()) == 25


def test_the_recorder_reads_with_a_key_of_its_own_where_there_is_one(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    keystore = Keystore(chosen)
    assert keystore.kalshi_reader("sandbox") is None
    assert not shares_kalshi_key(Keystore(chosen).list(), chosen.venues)
    ensure_sandbox_credentials(chosen)
    assert keystore.kalshi_reader("sandbox") == keystore.kalshi("sandbox")
    assert shares_kalshi_key(Keystore(chosen).list(), chosen.venues)
    reading = keystore.get("kalshi-sandbox")
    assert reading is not None
    keystore.set("kalshi-read-sandbox", reading | {"key_id": "reads"})
    reader = keystore.kalshi_reader("sandbox")
    assert reader is not None
    assert reader.key_id == "reads"
    assert not shares_kalshi_key(Keystore(chosen).list(), chosen.venues)
    ensure_sandbox_credentials(chosen)
    accounts = json.loads((tmp_path / "sandbox" / "accounts.json").read_text())
    assert [row.get("scopes") for row in accounts["kalshi"]] == [None, ["read"]]
    with pytest.raises(ConfigurationError, match="PASSPHRASE"):
        keystore.set("kalshi-read-live", KALSHI)


def test_an_opened_secret_is_removed_from_every_text_from_then_on(tmp_path: Path) -> None:
    Keystore(settings(tmp_path)).set("openai", {"key": "unlikely-opened-1", "key_id": "shown"})
    Keystore(settings(tmp_path)).get("openai")
    assert redact_text("a unlikely-opened-1 shown") == "a [redacted] shown"


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
        ({"relayer_secret": "s"}, "relayer_key, relayer_passphrase"),
        ({"relayer_key": "k", "relayer_passphrase": "p"}, "relayer_secret"),
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


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({}, None),
        ({"signature_type": "0"}, None),
        ({"relayer_key": ""}, None),
        ({"relayer_key": "mine"}, {"RELAYER_API_KEY": "mine", "RELAYER_API_KEY_ADDRESS": "0x2"}),
    ],
)
def test_a_smart_wallet_with_a_relayer_key_has_a_relayer_and_nobody_else(
    tmp_path: Path, changes: dict[str, str], headers: dict[str, str] | None
) -> None:
    fields = {"private_key": "0x1", "address": "0x2", "api_key": "k", "secret": "s", "passphrase": "p"}
    smart = {"signature_type": "3", "funder": "0x3", **({"relayer_key": "mine"} if "signature_type" in changes else {})}
    where = settings(tmp_path, venues="sandbox")
    Keystore(where).set("polymarket-sandbox", fields | smart | changes)
    relayer = polymarket_relayer(where, httpx.AsyncClient())
    assert (relayer is None) == (headers is None)
    if relayer is not None:
        assert relayer._key.headers("GET", "/", 1, b"") == headers
        assert "mine" not in repr(relayer._key)
        assert "mine" not in repr(Keystore(where).polymarket("sandbox"))


def test_a_mistyped_passphrase_seals_nothing_beside_what_it_does_not_open(tmp_path: Path) -> None:
    right, wrong = "the right passphrase", "teh right passphrase"
    Keystore(settings(tmp_path, keystore_passphrase=right)).set("kalshi-live", KALSHI)
    before = (tmp_path / "keystore.json").read_bytes()
    mistyped = Keystore(settings(tmp_path, keystore_passphrase=wrong))
    for name in ("kalshi-read-live", "kalshi-demo", "anything"):
        with pytest.raises(
            ConfigurationError, match=r"kalshi-live.*CROSSBOOK_KEYSTORE_PASSPHRASE.*keys remove"
        ) as raised:
            mistyped.set(name, KALSHI)
        assert wrong not in str(raised.value)
    with pytest.raises(ConfigurationError, match="kalshi-live"):
        mistyped.change_passphrase("another long passphrase")
    with pytest.raises(ConfigurationError, match="kalshi-live"):
        ensure_sandbox_credentials(settings(tmp_path, keystore_passphrase=wrong))
    assert (tmp_path / "keystore.json").read_bytes() == before


def test_a_key_whose_passphrase_is_lost_can_be_replaced_or_removed(tmp_path: Path) -> None:
    Keystore(settings(tmp_path, keystore_passphrase="a passphrase that is lost")).set("kalshi-live", KALSHI)
    new = Keystore(settings(tmp_path, keystore_passphrase="another passphrase"))
    new.set("kalshi-live", KALSHI)
    assert new.get("kalshi-live") == KALSHI
    newest = Keystore(settings(tmp_path, keystore_passphrase="the newest passphrase"))
    assert newest.remove("kalshi-live")
    newest.set("kalshi-demo", KALSHI)
    assert newest.get("kalshi-demo") == KALSHI


def test_another_key_file_seals_nothing_beside_what_it_does_not_open(tmp_path: Path) -> None:
    Keystore(settings(tmp_path)).set("kalshi-demo", KALSHI)
    other = tmp_path / "other"
    Keystore(settings(other)).set("kalshi-demo", KALSHI)
    (tmp_path / "keystore.key").write_bytes((other / "keystore.key").read_bytes())
    with pytest.raises(ConfigurationError, match=r"kalshi-demo.*keystore\.key"):
        Keystore(settings(tmp_path)).set("kalshi-sandbox", KALSHI)
    sealed_so = settings(tmp_path, keystore_passphrase="a passphrase of its own")
    Keystore(sealed_so).set("kalshi-live", KALSHI)
