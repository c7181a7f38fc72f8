"""Bad settings stop the start with one sentence that names the setting."""

import traceback
from decimal import Decimal
from pathlib import Path

import pytest

from app.supervisor.checks.preflight import check_all
from streams.addresses import shown_database_address
from streams.market.errors import ConfigurationError
from streams.settings import Settings, check_intent, load_settings, setting_name, written_value


def test_the_defaults_are_the_sandbox_with_live_orders_there() -> None:
    settings = load_settings()
    assert (settings.venues, settings.trading_mode) == ("sandbox", "live")


def test_on_live_venues_the_default_is_paper() -> None:
    assert load_settings(venues="live").trading_mode == "paper"


def test_live_orders_on_live_venues_need_the_extra_flag() -> None:
    with pytest.raises(ConfigurationError, match=r"CROSSBOOK_TRADING: .*--i-understand"):
        check_all(load_settings(venues="live", trading="live"))
    for allowed in ({"trading": "paper"}, {"trading": "live", "i_understand": True}, {}):
        check_intent(load_settings(venues="live", **allowed))


def test_who_only_looks_or_kills_need_not_say_that_they_understand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_VENUES", "live")
    monkeypatch.setenv("CROSSBOOK_TRADING", "live")
    assert load_settings().trading_mode == "live"


@pytest.mark.parametrize(
    ("name", "value"),
    [("CROSSBOOK_API_PORT", "ninety"), ("CROSSBOOK_VENUES", "moon"), ("CROSSBOOK_LIMIT_TOTAL_USD", "-5")],
)
def test_a_bad_value_names_its_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as refused:
        load_settings()
    assert "\n" not in str(refused.value)


def test_the_example_file_can_be_used_with_its_lines_as_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    example = Path(__file__).resolve().parents[3] / ".env.example"
    lines = [line.removeprefix("# ") for line in example.read_text().splitlines() if "=" in line]
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("\n".join(lines))
    settings = load_settings()
    assert len(lines) >= 7
    assert (settings.trading_mode, settings.database_url, settings.openai_api_key) == ("live", None, None)


def test_an_unknown_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_APY_PORT", "8000")
    with pytest.raises(ConfigurationError, match="CROSSBOOK_APY_PORT is not a setting"):
        load_settings()


def test_an_unknown_setting_in_the_file_is_refused_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("CROSSBOOK_LIMIT_TOTAL_DOLLARS=10\nOTHER=1\n")
    with pytest.raises(ConfigurationError, match="CROSSBOOK_LIMIT_TOTAL_DOLLARS is not a setting"):
        load_settings()


def test_live_orders_cannot_be_switched_on_for_good(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("CROSSBOOK_VENUES=live\nCROSSBOOK_TRADING=live\nCROSSBOOK_I_UNDERSTAND=true\n")
    with pytest.raises(ConfigurationError, match="CROSSBOOK_I_UNDERSTAND is said at each start"):
        load_settings()


def test_secrets_are_not_in_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-this-is-secret-0001")
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone:hunter2@127.0.0.1/x")
    shown = repr(load_settings())
    assert "sk-this" not in shown
    assert "hunter2" not in shown


NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float, Decimal)]
CANARY = "unlikely-canary-pw"


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e309", "1e9999", "1e999999", "9" * 400, "x", "0x10"])
def test_no_number_may_be_infinite_none_or_beyond_all_sense(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert len(NUMBERS) > 60
    for field in NUMBERS:
        with monkeypatch.context() as patch:
            patch.setenv(setting_name(field), value)
            with pytest.raises(ConfigurationError, match=setting_name(field)) as refused:
                load_settings()
            assert "\n" not in str(refused.value)


def test_every_number_has_an_upper_bound() -> None:
    for field in NUMBERS:
        bounds = [
            bound for bound in Settings.model_fields[field].metadata if hasattr(bound, "le") or hasattr(bound, "lt")
        ]
        assert bounds, field


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://u:{CANARY}@h:port/d", f"postgresql://u:{CANARY}@h:99999/d", f"postgresql://u:{CANARY}@h",
        f"postgresql://u:a@{CANARY}@h/d", f"postgresql://u:a/{CANARY}@h/d", f"mysql://u:{CANARY}@h/d",
        f"postgresql+psycopg://u:{CANARY}@h/d", f"postgresql://u:%{CANARY}@h/d", f"postgresql://u:{CANARY}@[::1/d",
        f"postgresql://u:{CANARY}@h1:1,h2:2,h3/d?{CANARY}=1", f"host=h password={CANARY}", f"host=h {CANARY}",
        f"host=h dbname=d password='{CANARY}", f"u:{CANARY}@h/d", f"postgresql://u:{CANARY}@h/d?sslmode=most",
        f"postgresql://u:{CANARY}@h/d?connect_timeout=soon", f"postgresql://u:{CANARY}\n@h/d", CANARY,
        f"postgresql://u:{CANARY}@h:1,h:2/d/x@y", f"host=a,b port=1,2,3 dbname=d password={CANARY}", f"post{CANARY}",
    ],
)  # fmt: skip
def test_an_address_of_a_database_that_cannot_be_meant_is_one_sentence_without_it(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    for name in ("PGDATABASE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", address)
    with pytest.raises(ConfigurationError, match=r"^DATABASE_URL cannot be used: ") as refused:
        load_settings()
    said = "".join(traceback.format_exception(refused.value))
    assert CANARY not in said
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u:p%40%2F%23@h:5/d", "postgresql://u@h:5/d"),
        ("postgres://u:p@[::1]:5/d?sslmode=require", "postgresql://u@[::1]:5/d"),
        ("postgresql://u:p@a:1,b:2/d", "postgresql://u@a:1,b:2/d"),
        ("postgresql:///d?host=/tmp", "postgresql://%2Ftmp:5432/d"),
        ("host=h port=5 user=u password='a b' dbname=d", "postgresql://u@h:5/d"),
        (" postgresql://u:p:q@h/d ", "postgresql://u@h:5432/d"),
    ],
)
def test_both_forms_of_an_address_are_taken_and_shown_without_the_password(
    monkeypatch: pytest.MonkeyPatch, address: str, shown: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    settings = load_settings()
    assert settings.database_url is not None
    assert shown_database_address(settings.database_url.get_secret_value()) == shown


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CROSBOOK_TRADING", "CROSSBOOK_TRADING"), ("CROSSBOOK_TRADNG", "CROSSBOOK_TRADING"),
        ("crosbook_trading", "CROSSBOOK_TRADING"), ("CROSSBOOKTRADING", "CROSSBOOK_TRADING"),
        ("DATABSE_URL", "DATABASE_URL"), ("DATABASEURL", "DATABASE_URL"), ("OPENAI_APIKEY", "OPENAI_API_KEY"),
        ("CROSSBOKO_HOME", "CROSSBOOK_HOME"), ("XCROSSBOOK_VENUESX", "CROSSBOOK_VENUES"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_in_file", [True, False])
def test_a_name_within_two_letters_of_a_setting_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, meant: str, is_in_file: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    if is_in_file:
        (tmp_path / ".env").write_text(f"# first\n\n{name}={CANARY}\n")
    else:
        monkeypatch.setenv(name, CANARY)
    with pytest.raises(ConfigurationError, match=f"{meant}\\?") as refused:
        load_settings()
    assert name in str(refused.value).replace(name.upper(), name)
    assert CANARY not in str(refused.value)
    assert ("line 3" in str(refused.value)) is is_in_file


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"A=1\nCROSSBOOK_TRADING\n", "Line 2"),
        (b"A=1\n\n= off\n", "Line 3"),
        (b"CROSSBOOK_TRADING='off\n", "Line 1"),
        (b'A="x\n', "Line 1"),
        (b"CROSSBOOK_TRADING: off\n", "Line 1"),
        (b"$env:CROSSBOOK_TRADING=off\n", "line 1"),
        (b"A=1\nB=\xff\xfe\n", "Line 2"),
        (b"\xff\xfeA\x00=\x001\x00", "Line 1"),
        (b"A=1\nB=\x00\n", "Line 2"),
        (b"CROSSBOOK_TRADING=off\ncrossbook_trading=live\n", "lines 1 and 2"),
    ],
)
def test_a_line_of_the_file_that_cannot_be_read_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(ConfigurationError, match=place) as refused:
        load_settings()
    assert "\n" not in str(refused.value)


def test_what_editors_and_shells_write_is_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    lines = b"\xef\xbb\xbfexport CROSSBOOK_TRADING='off'\r\n# word\r\nCROSSBOOK_API_PORT = 8001 # mine\r\nOTHER=1\r\n"
    (tmp_path / ".env").write_bytes(lines)
    settings = load_settings()
    assert (settings.trading_mode, settings.api_port) == ("off", 8001)


def test_a_folder_in_place_of_the_file_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigurationError, match="not a file"):
        load_settings()


@pytest.mark.parametrize("key", ["sk-a b", "sk-é", "sk-a\nX: y", "   "])
def test_a_key_that_no_header_can_carry_is_refused_without_it(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY") as refused:
        load_settings()
    assert "sk-" not in str(refused.value)


def test_blanks_around_a_value_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_VENUES", " live ")
    monkeypatch.setenv("CROSSBOOK_API_PORT", " 8001 ")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-unlikely-1 ")
    settings = load_settings()
    assert (settings.venues, settings.api_port) == ("live", 8001)
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-unlikely-1"


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, setting_name(name)


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize(
    "secret", ["sk-a${HOME}b-0001", "sk-a$HOME-b-0001", "sk-${MISSING:-other}-1", "sk-$$-${}-0001"]
)
def test_a_value_in_the_file_is_taken_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secret: str, quote: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        f"OPENAI_API_KEY={quote}{secret}{quote}\nexport crossbook_keystore_passphrase={quote}{secret}{quote}\n"
        f"CROSSBOOK_HOME={quote}a${{HOME}}b{quote}\n"
    )
    settings = load_settings()
    assert settings.openai_api_key is not None
    assert settings.keystore_passphrase is not None
    assert settings.openai_api_key.get_secret_value() == secret
    assert settings.keystore_passphrase.get_secret_value() == secret
    assert str(settings.home) == "a${HOME}b"


@pytest.mark.parametrize("text", ["1_000", "+500", "５００", "٥٠٠", "5e2", "0x10", "5 00", "5.", "", "five"])
@pytest.mark.parametrize("field", ["discovery_interval_s", "lease_ttl_s", "limit_total_usd"])
def test_a_number_is_written_in_plain_digits(monkeypatch: pytest.MonkeyPatch, field: str, text: str) -> None:
    monkeypatch.setenv(setting_name(field), text)
    if not text:
        assert load_settings() == load_settings(**{field: Settings.model_fields[field].default})
        return
    with pytest.raises(ConfigurationError, match=f"{setting_name(field)} .*plain decimal number") as refused:
        load_settings()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", ["0.00001", "0.000001", "1000000", "-0.5"])
def test_a_value_that_is_handed_on_can_be_read_again(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert Decimal(written_value(float(value))) == Decimal(written_value(Decimal(value))) == Decimal(value)
    monkeypatch.setenv("CROSSBOOK_SEGMENT_MAX_AGE_S", written_value(abs(float(value)) % 86_000))
    assert load_settings().segment_max_age_s == abs(float(value)) % 86_000
