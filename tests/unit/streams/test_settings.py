"""Bad settings stop the start with one sentence that names the setting."""

import pytest

from streams.market.errors import ConfigurationError
from streams.settings import Settings, load_settings, setting_name


def test_the_defaults_are_the_sandbox_with_live_orders_there() -> None:
    settings = load_settings()
    assert (settings.venues, settings.trading_mode) == ("sandbox", "live")


def test_on_live_venues_the_default_is_paper() -> None:
    assert load_settings(venues="live").trading_mode == "paper"


def test_live_orders_on_live_venues_need_the_extra_flag() -> None:
    with pytest.raises(ConfigurationError, match="--i-understand"):
        load_settings(venues="live", trading="live")


@pytest.mark.parametrize(
    ("name", "value"),
    [("CROSSBOOK_API_PORT", "ninety"), ("CROSSBOOK_VENUES", "moon"), ("CROSSBOOK_LIMIT_TOTAL_USD", "-5")],
)
def test_a_bad_value_names_its_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as refused:
        load_settings()
    assert "\n" not in str(refused.value)


def test_an_unknown_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_APY_PORT", "8000")
    with pytest.raises(ConfigurationError, match="CROSSBOOK_APY_PORT is not a setting"):
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
