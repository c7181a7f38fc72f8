"""`crossbook fee` and `crossbook keys`: documents, exit codes, and no secret on any stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from app.cli import fees, keys

PRIVATE_KEY = "0x" + "ab" * 32


def run(*arguments: str, given: str | None = None) -> Result:
    cli = typer.Typer()
    fees.register(cli)
    keys.register(cli)
    return CliRunner().invoke(cli, arguments, input=given)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--venue", "kalshi", "--price", "0.50", "--size", "1", "--role", "taker"], "0.017500"),
        (["--venue", "kalshi", "--price", "0.50", "--size", "100", "--role", "maker"], "0.000000"),
        (
            ["--venue", "kalshi", "--price", "0.05", "--size", "1", "--schedule", '{"account":"fcm"}'],
            "0.010000",
        ),
        (
            ["--venue", "polymarket", "--price", "0.745", "--size", "200", "--schedule", '{"rate":0.05,"exponent":1}'],
            "1.899750",
        ),
    ],
)
def test_the_fee_is_one_json_document(arguments: list[str], expected: str) -> None:
    result = run("fee", "--json", *arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"fee_usd": expected}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--venue", "nyse", "--price", "0.5", "--size", "1"],
        ["--venue", "kalshi", "--price", "1", "--size", "1"],
        ["--venue", "kalshi", "--price", "0.5", "--size", "many"],
        ["--venue", "kalshi", "--price", "0.5", "--size", "-1"],
        ["--venue", "kalshi", "--price", "0.5", "--size", "1", "--role", "watcher"],
        ["--venue", "kalshi", "--price", "0.5", "--size", "1", "--schedule", "{"],
        ["--venue", "kalshi", "--price", "0.5", "--size", "1", "--schedule", "[]"],
        ["--venue", "kalshi", "--price", "0.5", "--size", "1", "--schedule", '{"fee_type":"new"}'],
    ],
)
def test_arguments_that_cannot_be_meant_leave_with_two_and_one_sentence(arguments: list[str]) -> None:
    result = run("fee", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_wallet_key_is_stored_from_standard_input_and_listed_by_name_only() -> None:
    document = {"private_key": PRIVATE_KEY, "api_key": "id", "secret": "c2VjcmV0", "passphrase": "pass-phrase-1"}
    stored = run("keys", "set", "polymarket", "--file", "-", "--json", given=json.dumps(document))
    assert stored.exit_code == 0, stored.output
    assert json.loads(stored.stdout)["name"] == "polymarket-sandbox"
    listed = run("keys", "list", "--json")
    assert json.loads(listed.stdout) == [{"name": "polymarket-sandbox"}]
    for text in ("abab", "pass-phrase-1"):
        assert text not in stored.output + listed.output


def test_a_pem_file_is_stored_with_its_key_id(home: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = home / "kalshi.pem"
    path.write_bytes(pem)
    assert run("keys", "set", "kalshi", "--file", str(path)).exit_code == 2
    assert run("keys", "set", "kalshi", "--file", str(path), "--key-id", "k-1").exit_code == 0
    assert json.loads(run("keys", "remove", "kalshi-sandbox", "--json").stdout)["removed"]
    assert run("keys", "remove", "kalshi-sandbox").exit_code == 1


def test_a_key_that_could_not_sign_is_not_stored() -> None:
    from streams.market.errors import ConfigurationError

    pem = "-----BEGIN PRIVATE KEY-----\nsecret-bytes\n-----END PRIVATE KEY-----\n"
    result = run("keys", "set", "kalshi", "--key-id", "k", "--file", "-", given=pem)
    assert isinstance(result.exception, ConfigurationError)
    assert "secret-bytes" not in str(result.exception)
    wrong = {"private_key": PRIVATE_KEY, "address": "0x" + "1" * 40, "api_key": "a", "secret": "b", "passphrase": "c"}
    assert run("keys", "set", "polymarket", "--file", "-", given=json.dumps(wrong)).exit_code == 2
    assert run("keys", "list", "--json").stdout.strip() == "[]"


@pytest.mark.parametrize("given", ["", "[]", "plain words", '{"a": {"b": "c"}}'])
def test_input_that_is_no_key_is_refused(given: str) -> None:
    assert run("keys", "set", "kalshi", "--file", "-", given=given).exit_code == 2


def test_a_passphrase_is_changed_from_a_pipe_and_is_on_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"private_key": PRIVATE_KEY, "api_key": "id", "secret": "c2VjcmV0", "passphrase": "pass-phrase-1"}
    assert run("keys", "set", "polymarket", "--file", "-", given=json.dumps(document)).exit_code == 0
    changed = run("keys", "passphrase", "--json", given="an unlikely passphrase\n")
    assert changed.exit_code == 0, changed.output
    assert json.loads(changed.stdout)["resealed"] == 1
    assert "unlikely" not in changed.output
    monkeypatch.setenv("CROSSBOOK_KEYSTORE_PASSPHRASE", "an unlikely passphrase")
    assert run("keys", "passphrase", given="another unlikely one\n").exit_code == 0
    with pytest.raises(Exception, match="cannot be opened"):
        raise run("keys", "passphrase", given="a third unlikely one\n").exception or AssertionError("opened")


@pytest.mark.parametrize(
    "schedule",
    [
        '{"fee_multiplier": NaN}', '{"fee_multiplier": 1e999999}', '{"fee_multiplier": "1e999999"}', "[" * 9999,
        '{"fee_multiplier": "1", "fee_multiplier": "2"}', '{"fee_type": []}', '{"account": {}}', '{"fee": 1}',
        '{"fee_multiplier": "1e-999999"}', '{"fee_multiplier": true}', '{"fee_multiplier": "' + "9" * 9000 + '"}',
    ],
)  # fmt: skip
def test_a_schedule_that_cannot_be_meant_is_a_usage_error(schedule: str) -> None:
    result = run("fee", "--venue", "kalshi", "--price", "0.5", "--size", "1", "--schedule", schedule)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.strip().splitlines()) == 1
    assert len(result.stderr) < 400


@pytest.mark.parametrize("number", ["1e999999", "1e-999999", "inf", "nan", "1_0", "9" * 5000, "٣", "0x1", ""])
def test_numbers_that_cannot_be_meant_are_usage_errors(number: str) -> None:
    for arguments in (["--price", number, "--size", "1"], ["--price", "0.5", "--size", number]):
        assert run("fee", "--venue", "kalshi", *arguments).exit_code == 2


def test_a_smart_wallet_is_asked_for_with_its_funder(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"Wallet": "3", "Address": "0xfunder"}
    monkeypatch.setattr("typer.prompt", lambda text, **_: answers.get(text.split()[0].rstrip(":"), "x"))
    asked = keys._ask("polymarket-live")
    assert (asked["signature_type"], asked["funder"], asked["secret"]) == ("3", "0xfunder", "x")
    answers["Wallet"] = "0"
    assert "funder" not in keys._ask("polymarket-live")


@pytest.mark.parametrize("text", [" 0.5", "+0.5", "5e-1", "０.5", "0_0.5"])
@pytest.mark.parametrize("option", ["--price", "--size"])
def test_a_number_is_written_in_plain_digits(option: str, text: str) -> None:
    given = {"--venue": "kalshi", "--price": "0.5", "--size": "1"} | {option: text}
    result = run("fee", *(word for pair in given.items() for word in pair))
    assert result.exit_code == 2
    assert f"{option} cannot be used: it is not a plain decimal number" in result.stderr
