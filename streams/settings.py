"""The one typed settings model. Built once per process, frozen, passed down.

Every setting is an environment variable: `CROSSBOOK_` plus the field's name in capitals, except `DATABASE_URL` and
`OPENAI_API_KEY`, which keep the names people expect. A `.env` file in the working directory is read too. Unknown
`CROSSBOOK_` variables, there or in the environment, and values that cannot be meant stop the start with one sentence
that names the setting.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from streams.market.errors import ConfigurationError

_OWN_NAMES = {"database_url": "DATABASE_URL", "openai_api_key": "OPENAI_API_KEY"}
PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Everything that can be set. Fields are grouped by room; each carries its meaning and unit."""

    model_config = SettingsConfigDict(
        env_prefix="CROSSBOOK_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    # -- where things are -------------------------------------------------------------------------------------------
    home: Path = Field(Path(".crossbook"), description="Folder of everything the system writes.")
    venues: Literal["sandbox", "demo", "live"] = Field("sandbox", description="Which exchanges to talk to.")
    trading: Literal["off", "paper", "live"] | None = Field(
        None, description="What happens to orders. Default: live in the sandbox, paper elsewhere."
    )
    i_understand: bool = Field(False, description="Needed for live orders on live venues; set by `--i-understand`.")
    database_url: SecretStr | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="PostgreSQL 15+ to use instead of the embedded one (postgresql://user:password@host:port/name).",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    min_free_disk_mb: int = Field(500, ge=0, description="The start is refused below this much free disk (MB).")

    # -- ports (all on 127.0.0.1) -----------------------------------------------------------------------------------
    dagster_port: int = Field(3000, ge=1, le=65535, description="Dagster webserver.")
    dashboard_port: int = Field(8501, ge=1, le=65535, description="Streamlit dashboard.")
    api_port: int = Field(8000, ge=1, le=65535, description="HTTP API.")
    code_server_port: int = Field(4000, ge=1, le=65535, description="Dagster code server (gRPC).")
    kalshi_sandbox_port: int = Field(8601, ge=1, le=65535, description="Sandbox Kalshi.")
    polymarket_sandbox_port: int = Field(8602, ge=1, le=65535, description="Sandbox Polymarket.")
    sandbox_admin_port: int = Field(8603, ge=0, le=65535, description="Admin port of the sandbox; 0: any free one.")
    postgres_port: int = Field(5433, ge=1, le=65535, description="Embedded PostgreSQL.")

    # -- venues -----------------------------------------------------------------------------------------------------
    kalshi_rest_url: str = Field("", description="Override of Kalshi's REST base, up to and with /trade-api/v2.")
    kalshi_ws_url: str = Field("", description="Override of Kalshi's socket address.")
    polymarket_gamma_url: str = Field("", description="Override of Gamma's base.")
    polymarket_clob_url: str = Field("", description="Override of the CLOB's base.")
    polymarket_ws_url: str = Field("", description="Override of the socket's base (…/ws).")
    polymarket_data_url: str = Field("", description="Override of the Data API's base.")
    polymarket_relayer_url: str = Field("", description="Override of Polymarket's relayer's base.")
    polymarket_site_url: str = Field("", description="Override of Polymarket's website's base (its address check).")
    http_timeout_s: float = Field(15.0, gt=0, description="Limit of one HTTP call.")
    kalshi_account: Literal["direct", "fcm"] = Field(
        "direct",
        description="How Kalshi keeps the balance: to 0.0001 dollar (direct), to cents through a broker (fcm).",
    )
    kalshi_scales_makers: bool = Field(
        True, description="Whether a Kalshi fee multiplier scales maker fees too (not published)."
    )
    kalshi_rebate_when: Literal["reached", "passed"] = Field(
        "reached",
        description="When Kalshi pays rounding fees back: once a whole step is reached, or passed (not published).",
    )
    kalshi_unsigned_reads_per_s: float = Field(
        3.0,
        gt=0,
        description="Reads a second of Kalshi without a key, over all processes (its limit is not published).",
    )
    keystore_passphrase: SecretStr | None = Field(
        None, description="Passphrase of the keystore. Without it a key file is used, which live keys refuse."
    )

    # -- sandbox ----------------------------------------------------------------------------------------------------
    sandbox_seed: int = Field(20260324, description="Seed of the sandbox's flow.")
    sandbox_catalogue: Path | None = Field(None, description="Catalogue file; default: the bundled one.")
    sandbox_truth: Path | None = Field(None, description="Which markets of the catalogue settle alike (JSON lines).")
    sandbox_faults: Path | None = Field(None, description="Fault file (JSON) of the sandbox exchanges.")
    sandbox_replay: Path | None = Field(None, description="Recorded books to replay instead of seeded flow.")
    sandbox_profile: Literal["zero", "realistic"] = Field(
        "realistic", description="Latencies and failures of the sandbox exchanges."
    )
    sandbox_behaviour: Path | None = Field(None, description="Figures that differ from the profile's (JSON file).")

    # -- discovery --------------------------------------------------------------------------------------------------
    discovery_interval_s: int = Field(60, ge=5, description="Time between incremental discoveries.")
    sandbox_discovery_interval_s: int = Field(
        15, ge=5, description="Sandbox only: time between incremental discoveries (its short series live for minutes)."
    )
    full_sweep_hour_utc: int = Field(5, ge=0, le=23, description="Hour of the daily full sweep.")
    discovery_page_retries: int = Field(4, ge=0, description="Attempts after the first for a page that fails.")
    backfill_days: int = Field(7, ge=0, le=90, description="Days of candlesticks loaded at the first pass.")
    backfill_market_limit: int = Field(150, ge=1, description="Markets per venue whose history is loaded.")

    # -- matching and judging ---------------------------------------------------------------------------------------
    candidates_per_market: int = Field(5, ge=1, description="Most candidates kept for one Kalshi market.")
    candidate_min_score: Decimal = Field(Decimal("0.45"), ge=0, le=1, description="Least score of a candidate.")
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY", description="Key of the judge.")
    openai_base_url: str = Field("", description="Base address of an OpenAI-compatible API; empty: OpenAI's own.")
    judge_model: str = Field("gpt-5-mini", description="Model that judges pairs.")
    judge_daily_budget_usd: Decimal = Field(Decimal("5"), ge=0, description="Most dollars spent on verdicts a UTC day.")
    judge_input_usd_per_mtok: Decimal = Field(Decimal("0.25"), ge=0, description="Price of a million input tokens.")
    judge_output_usd_per_mtok: Decimal = Field(Decimal("2.00"), ge=0, description="Price of a million output tokens.")
    judge_concurrency: int = Field(4, ge=1, le=64, description="Verdicts asked for at once.")
    sandbox_auto_approve_confidence: Decimal = Field(
        Decimal("0.85"), ge=0, le=1, description="Sandbox only: verdicts from here on are approved automatically."
    )

    # -- recording --------------------------------------------------------------------------------------------------
    recorder_shards: int = Field(1, ge=1, le=64, description="Recorder shards: runs that share the markets to record.")
    recorded_markets_max: int = Field(600, ge=2, description="Most markets recorded at once, both venues together.")
    lease_ttl_s: float = Field(15.0, gt=1, description="A lease without heartbeat for this long is dead.")
    segment_max_bytes: int = Field(64_000_000, ge=4096, description="A segment file is closed at this size.")
    segment_max_age_s: float = Field(60.0, gt=0, description="A segment file is closed at this age.")
    flush_interval_ms: int = Field(100, ge=5, description="Longest wait between a frame and its fsync or COPY (ms).")
    silence_timeout_s: float = Field(30.0, gt=0, description="A connection without any sign of life is replaced.")
    polling_interval_s: float = Field(2.0, gt=0, description="REST polling of Kalshi books where there is no key.")
    polymarket_tokens_per_connection: int = Field(
        200, ge=2, description="Tokens that share one Polymarket socket (single ones fall silent on full ones)."
    )
    token_silence_s: float = Field(
        60.0, gt=0, description="A Polymarket token silent this long is compared with its book over REST (seconds)."
    )
    quote_stale_after_s: float = Field(30.0, gt=0, description="As-of joins use no quote older than this.")
    raw_retention_days: int = Field(30, ge=1, description="Days of raw partitions kept in the database.")
    book_verify_interval_s: float = Field(
        300.0, ge=5, description="Each Polymarket book is compared with a whole one this often (seconds)."
    )
    segment_retention_hours: int = Field(24, ge=1, description="Hours closed segment files are kept on disk.")

    # -- warehouse and Dagster --------------------------------------------------------------------------------------
    marts_interval_s: int = Field(60, ge=60, description="Time between builds of the marts, in whole minutes.")
    warehouse_interval_s: int = Field(
        600, ge=60, description="Time between builds of every model with all data tests, in whole minutes."
    )
    dagster_pg_url: SecretStr | None = Field(
        None, description="Address of Dagster's own tables; set by the start for the processes of Dagster."
    )

    # -- signals ----------------------------------------------------------------------------------------------------
    signal_entry_edge_usd: Decimal = Field(Decimal("0.005"), ge=0, description="Net edge per contract that opens.")
    signal_exit_edge_usd: Decimal = Field(Decimal("0.001"), description="Net edge per contract below which it closes.")
    signal_min_profit_usd: Decimal = Field(Decimal("0.05"), ge=0, description="Least locked profit of a signal.")
    signal_min_duration_ms: int = Field(300, ge=0, description="The edge must hold this long before a signal opens.")

    # -- execution --------------------------------------------------------------------------------------------------
    limit_order_contracts: Decimal = Field(Decimal("50"), gt=0, description="First value of limit `order_contracts`.")
    limit_market_usd: Decimal = Field(Decimal("200"), gt=0, description="First value of limit `market_usd`.")
    limit_pair_usd: Decimal = Field(Decimal("300"), gt=0, description="First value of limit `pair_usd`.")
    limit_total_usd: Decimal = Field(Decimal("2000"), gt=0, description="First value of limit `total_usd`.")
    limit_daily_loss_usd: Decimal = Field(Decimal("100"), gt=0, description="First value of limit `daily_loss_usd`.")
    execution_cooldown_s: float = Field(5.0, ge=0, description="Time between two executions on one group.")
    slippage_max_usd: Decimal = Field(Decimal("0.02"), ge=0, description="Most a completing leg may cost beyond plan.")
    decision_ttl_ms: int = Field(1000, ge=50, le=1000, description="Life of a decision: no re-send after it.")
    exposure_budget_usd: Decimal = Field(Decimal("50"), gt=0, description="Most naked exposure of one execution.")
    exposure_budget_usd_s: Decimal = Field(Decimal("600"), gt=0, description="Most exposure times seconds of one.")
    provisional_cap_usd: Decimal = Field(Decimal("500"), gt=0, description="Most cash in matches not yet confirmed.")

    dust_exposure_usd: Decimal = Field(Decimal("1"), ge=0, description="Unmatched cost too small to trade, accepted.")
    execution_max_s: float = Field(45.0, gt=0, description="Longest one execution is worked on before it escalates.")
    execution_attempts: int = Field(3, ge=1, description="Executions of one signal, if the ones before bought nothing.")
    execution_batch: int = Field(4, ge=1, description="Signals one trading run may take, one after the other.")
    trade_runs_max: int = Field(3, ge=1, description="Trading runs at the same time.")
    trade_stay_s: float = Field(20.0, ge=0, description="How long an idle trading run waits for the next signal.")
    closing_margin_s: int = Field(10, ge=0, description="Nothing opens on a market that closes within this time.")
    order_poll_ms: int = Field(200, ge=10, description="Time between two reads of an order that is not resolved.")
    unknown_absent_after_s: float = Field(
        10.0, gt=0, description="An order the venue still does not know after this time never arrived."
    )
    absent_recheck_s: float = Field(
        120.0, ge=0, description="An order that never arrived is looked for this much longer, in case it did."
    )
    flatten_slippage_usd: Decimal = Field(
        Decimal("0.05"), ge=0, description="A person's flatten sells down to this much below the best bid it found."
    )

    # -- alerts -----------------------------------------------------------------------------------------------------
    alert_webhook_url: SecretStr | None = Field(None, description="Where alerts are posted as JSON; none: log only.")
    recorder_stale_after_s: float = Field(60.0, gt=0, description="A recorder without heartbeat this long alarms.")

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if self.signal_exit_edge_usd > self.signal_entry_edge_usd:
            raise ValueError("CROSSBOOK_SIGNAL_EXIT_EDGE_USD must not exceed CROSSBOOK_SIGNAL_ENTRY_EDGE_USD")
        return self

    @property
    def trading_mode(self) -> Literal["off", "paper", "live"]:
        """The trading mode in force: as set, else live in the sandbox and paper elsewhere."""
        if self.trading is not None:
            return self.trading
        return "live" if self.venues == "sandbox" else "paper"

    @property
    def home_dir(self) -> Path:
        """`home` as an absolute path."""
        return self.home.expanduser().absolute()


def check_intent(settings: Settings) -> None:
    """Refuse to send live orders to live venues unless that was said at this start.

    Only what sends orders asks: whoever has not said it must still be able to look, and to pull the kill switch.

    Raises:
        ConfigurationError: If it was not said.
    """
    if settings.venues == "live" and settings.trading_mode == "live" and not settings.i_understand:
        raise ConfigurationError("CROSSBOOK_TRADING: live orders on live venues need --i-understand.")


def setting_name(field: str) -> str:
    """Return the environment variable of a field."""
    return _OWN_NAMES.get(field, f"CROSSBOOK_{field.upper()}")


def load_settings(**overrides: Any) -> Settings:
    """Build the settings from the environment, `.env` and `overrides` (which win).

    Raises:
        ConfigurationError: With one sentence that names the setting and what is wrong with it, never its value when
            it is a secret.
    """
    known = {setting_name(name) for name in Settings.model_fields}
    in_file = {name.upper() for name in DotEnvSettingsSource(Settings).env_vars}
    for name in (*os.environ, *sorted(in_file)):
        if name.startswith("CROSSBOOK_") and name not in known:
            raise ConfigurationError(f"{name} is not a setting; see docs/reference/settings.md for the ones there are.")
    if setting_name("i_understand") in in_file:
        raise ConfigurationError("CROSSBOOK_I_UNDERSTAND is said at each start with --i-understand, not in a file.")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        if not first["loc"]:
            raise ConfigurationError(first["msg"].removeprefix("Value error, ").rstrip(".") + ".") from None
        field = str(first["loc"][0])
        name = field if field.isupper() else setting_name(field)
        raise ConfigurationError(f"{name} cannot be used: {first['msg'][0].lower()}{first['msg'][1:]}.") from None
