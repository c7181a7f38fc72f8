"""Bad settings stop the start with one sentence that names the setting."""

from pathlib import Path

import pytest

from app.supervisor.preflight import check_all
from streams.market.errors import ConfigurationError
from streams.settings import Settings, check_intent, load_settings, setting_name


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


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, setting_name(name)
