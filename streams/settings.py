"""The one typed settings model. Built once per process, frozen, passed down.

Every setting is an environment variable: `CROSSBOOK_` plus the field's name in capitals, except `DATABASE_URL` and
`OPENAI_API_KEY`, which keep the names people expect. A `.env` file in the working directory is read too. Unknown
`CROSSBOOK_` variables, there or in the environment, names within two letters of a setting's, lines that cannot be read
and values that cannot be meant (every number is finite and has an upper bound) stop the start with one sentence that
names the setting or the line, never a secret's value.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from streams.documents import plain_decimal
from streams.env_files import ENCODING, check_names, names_in_file, values_in_file
from streams.market.errors import ConfigurationError
from streams.redaction import redact_text
from streams.setting_groups.gate import GateChecks
from streams.setting_groups.selection import Selection
from streams.setting_places import Accounts, Breakers, Hedging, Limits, Places, SignIn
from streams.setting_types import Amount, DatabaseAddress, HeaderSecret, WebAddress, check_text

_OWN_NAMES = {"database_url": "DATABASE_URL", "openai_api_key": "OPENAI_API_KEY"}
PROJECT_ROOT = Path(__file__).resolve().parent.parent
SUPERVISED = "SUPERVISED_HOME"
"""Variable that every process of a home carries, so that whatever is left can be found. Such a process reads no `.env`:
the supervisor has read it, and gives each its own part."""
ENV_FILE = Path(".env")
"""Read in the working directory."""

_NUMBERS = (int, float, Decimal)
_held: dict[str, Any] = {}


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting holds a secret, whichever kind of one."""
    return "SecretStr" in str(field.annotation)


class EnvFileSource(DotEnvSettingsSource):
    """The values of a `.env` file as they are written: `${NAME}` in one is part of it."""

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in values_in_file(file_path).items() if value}


class Settings(SignIn, Places, Accounts, Limits, Breakers, Hedging, Selection, GateChecks):
    """Everything that can be set. Fields are grouped by room; each carries its meaning and unit."""

    model_config = SettingsConfigDict(
        env_prefix="CROSSBOOK_",
        env_file=str(ENV_FILE),
        env_file_encoding=ENCODING,
        env_ignore_empty=True,
        allow_inf_nan=False,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    # -- discovery --------------------------------------------------------------------------------------------------
    discovery_interval_s: int = Field(60, ge=5, le=86_400, description="Time between incremental discoveries.")
    sandbox_discovery_interval_s: int = Field(
        15,
        ge=5,
        le=86_400,
        description="Sandbox only: time between incremental discoveries (its short series live for minutes).",
    )
    full_sweep_hour_utc: int = Field(5, ge=0, le=23, description="Hour of the daily full sweep.")
    discovery_page_retries: int = Field(4, ge=0, le=100, description="Attempts after the first for a page that fails.")
    discovery_dead_letter_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of a sweep's entries, or of a venue's frames within an hour, that cannot be used, above "
        "which it alerts.",
    )
    backfill_days: int = Field(7, ge=0, le=90, description="Days of candlesticks loaded at the first pass.")
    backfill_market_limit: int = Field(
        150, ge=1, le=1_000_000, description="Markets per venue whose history is loaded."
    )

    # -- matching and judging ---------------------------------------------------------------------------------------
    candidates_per_market: int = Field(5, ge=1, le=1_000, description="Most candidates kept for one Kalshi market.")
    candidate_min_score: Amount = Field(Decimal("0.45"), ge=0, le=1, description="Least score of a candidate.")
    openai_api_key: HeaderSecret | None = Field(
        None, validation_alias="OPENAI_API_KEY", description="Key of the judge."
    )
    openai_base_url: WebAddress = Field(
        "", description="Base address of an OpenAI-compatible API; empty: OpenAI's own."
    )
    judge_model: str = Field("gpt-5-mini", description="Model that judges pairs.")
    judge_daily_budget_usd: Amount = Field(
        Decimal("5"), ge=0, le=100_000, description="Most dollars spent on verdicts a UTC day."
    )
    judge_input_usd_per_mtok: Amount = Field(
        Decimal("0.25"), ge=0, le=10_000, description="Price of a million input tokens."
    )
    judge_output_usd_per_mtok: Amount = Field(
        Decimal("2.00"), ge=0, le=10_000, description="Price of a million output tokens."
    )
    judge_concurrency: int = Field(4, ge=1, le=64, description="Verdicts asked for at once.")
    sandbox_auto_approve_confidence: Amount = Field(
        Decimal("0.85"), ge=0, le=1, description="Sandbox only: verdicts from here on are approved automatically."
    )

    # -- recording --------------------------------------------------------------------------------------------------
    recorder_shards: int = Field(1, ge=1, le=64, description="Recorder shards: runs that share the markets to record.")
    recorded_markets_max: int = Field(
        600, ge=2, le=1_000_000, description="Most markets recorded at once, both venues together."
    )
    lease_ttl_s: float = Field(15.0, gt=1, le=600, description="A lease without heartbeat for this long is dead.")
    segment_max_bytes: int = Field(
        64_000_000, ge=4096, le=10_000_000_000, description="A segment file is closed at this size."
    )
    segment_max_age_s: float = Field(60.0, gt=0, le=86_400, description="A segment file is closed at this age.")
    flush_interval_ms: int = Field(
        100, ge=5, le=60_000, description="Longest wait between a frame and its fsync or COPY (ms)."
    )
    silence_timeout_s: float = Field(
        30.0, gt=0, le=3_600, description="A connection without any sign of life is replaced."
    )
    polling_interval_s: float = Field(
        2.0, gt=0, le=3_600, description="REST polling of Kalshi books where there is no key."
    )
    polymarket_tokens_per_connection: int = Field(
        200,
        ge=2,
        le=100_000,
        description="Tokens that share one Polymarket socket (single ones fall silent on full ones).",
    )
    token_silence_s: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="A Polymarket token silent this long is compared with its book over REST (seconds).",
    )
    quote_stale_after_s: float = Field(30.0, gt=0, le=3_600, description="As-of joins use no quote older than this.")
    raw_retention_days: int = Field(30, ge=1, le=36_500, description="Days of raw partitions kept in the database.")
    book_verify_interval_s: float = Field(
        300.0, ge=5, le=86_400, description="Each Polymarket book is compared with a whole one this often (seconds)."
    )
    segment_retention_hours: int = Field(
        24, ge=1, le=1_000_000, description="Hours closed segment files are kept on disk."
    )

    # -- warehouse and Dagster --------------------------------------------------------------------------------------
    marts_interval_s: int = Field(
        60, ge=60, le=86_400, description="Time between builds of the marts, in whole minutes."
    )
    warehouse_interval_s: int = Field(
        600, ge=60, le=604_800, description="Time between builds of every model with all data tests, in whole minutes."
    )
    run_retention_hours: int = Field(
        72,
        ge=1,
        le=87_600,
        description="Hours Dagster keeps runs that succeeded, with their events, output and check results.",
    )
    failed_run_retention_days: int = Field(14, ge=1, le=3_650, description="Days Dagster keeps runs that failed.")
    evaluation_retention_hours: int = Field(
        24, ge=1, le=87_600, description="Hours Dagster keeps what conditions of assets were evaluated to."
    )
    dagster_pg_url: DatabaseAddress | None = Field(
        None, description="Address of Dagster's own tables; set by the start for the processes of Dagster."
    )

    # -- readers of the warehouse -----------------------------------------------------------------------------------
    reader_connections_max: int = Field(
        10, ge=1, le=1_000, description="Most connections of one login that may only read."
    )
    reader_statement_max_s: float = Field(
        300.0, gt=0, le=86_400, description="A statement of a reader that runs longer is ended (seconds)."
    )
    reader_idle_max_s: float = Field(
        30.0, gt=0, le=86_400, description="A reader that idles in a transaction longer is ended (seconds)."
    )
    reader_transaction_max_s: float = Field(
        900.0,
        gt=0,
        le=86_400,
        description="A transaction of a reader that is open longer is ended (seconds).",
    )
    reader_temp_mb: int = Field(
        1024, ge=1, le=1_000_000, description="Most temporary files of one process of a reader (MB)."
    )
    reader_memory_mb: int = Field(
        1024,
        ge=64,
        le=1_000_000,
        description="Most memory of all readers of the embedded server together (MB); the largest is ended beyond it.",
    )
    reader_look_ms: int = Field(
        250, ge=50, le=1000, description="Time between two looks for readers who keep others waiting (ms)."
    )

    # -- execution --------------------------------------------------------------------------------------------------
    trade_loss_cap_usd: Amount = Field(
        Decimal("10"),
        ge=0,
        le=1_000_000,
        description="Most one hedge may lose, if three times its planned profit is more; held back while it is open.",
    )
    gate_retention_days: int = Field(
        30, ge=1, le=3_650, description="How long decisions of the gate are kept, with all their checks (days)."
    )
    cash_max_age_s: float = Field(
        15.0, gt=0, le=3_600, description="Oldest reading of an account's cash on which anything opens."
    )
    execution_cooldown_s: float = Field(5.0, ge=0, le=86_400, description="Time between two executions on one group.")
    slippage_max_usd: Amount = Field(
        Decimal("0.02"), ge=0, le=1, description="Most a contract may lose in mending, where a plan has no bound."
    )
    decision_ttl_ms: int = Field(1000, ge=50, le=1000, description="Life of a decision: no re-send after it.")
    exposure_budget_usd: Amount = Field(
        Decimal("50"), gt=0, le=10_000_000, description="Most naked exposure of one execution."
    )
    exposure_budget_usd_s: Amount = Field(
        Decimal("600"), gt=0, le=1_000_000_000, description="Most exposure times seconds of one."
    )
    provisional_cap_usd: Amount = Field(
        Decimal("500"), gt=0, le=100_000_000, description="Most cash in matches not yet confirmed."
    )

    dust_exposure_usd: Amount = Field(
        Decimal("1"), ge=0, le=1_000, description="Unmatched cost too small to trade, accepted."
    )
    execution_max_s: float = Field(
        45.0, gt=0, le=3_600, description="Longest one execution is worked on before it escalates."
    )
    execution_attempts: int = Field(
        3, ge=1, le=100, description="Executions of one signal, if the ones before bought nothing."
    )
    hedges_at_once: int = Field(3, ge=1, le=100, description="Hedges the armed trading run works on at a time.")
    trading_lease_ttl_s: float = Field(
        5.0,
        gt=1,
        le=600,
        description="An armed trading run, or who works on a hedge, is dead without a heartbeat for this long.",
    )
    closing_margin_s: int = Field(
        10, ge=0, le=31_536_000, description="Nothing opens on a market that closes within this time."
    )
    order_poll_ms: int = Field(
        200, ge=10, le=60_000, description="Time between two reads of an order that is not resolved."
    )
    unknown_absent_after_s: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="An order never arrived at Kalshi if two whole lists that reach this far past its sending lack it.",
    )
    polymarket_absent_after_s: float = Field(
        120.0,
        gt=0,
        le=86_400,
        description="An order never arrived at Polymarket if it and its trades are twice not there after this time.",
    )
    kill_wait_s: float = Field(
        2.0,
        ge=0,
        le=2,
        description="Longest wait of a kill for orders under way; those still open are named (seconds).",
    )
    flatten_slippage_usd: Amount = Field(
        Decimal("0.05"),
        ge=0,
        le=1,
        description="A person's flatten sells down to this much below the best bid it found.",
    )

    # -- alerts -----------------------------------------------------------------------------------------------------
    recorder_stale_after_s: float = Field(
        60.0, gt=0, le=3_600, description="A recorder without heartbeat this long alarms."
    )
    armed_stale_after_s: float = Field(
        60.0, gt=0, le=3_600, description="That no trading run has been armed for this long alarms."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read `.env` by our own reader."""
        path = getattr(dotenv_settings, "env_file", None)
        return init_settings, env_settings, EnvFileSource(settings_cls, env_file=path), file_secret_settings

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        if not isinstance(value, str):
            return value
        text = check_text(value, is_secret=is_secret(field))
        if field.annotation in _NUMBERS:
            plain_decimal(text)
        return text

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, redact_text(value) if isinstance(value, str) else value

    @field_validator("home")
    @classmethod
    def _expand_home(cls, home: Path) -> Path:
        """Put the folder in the place of `~`, while there is somebody to say whose folder it is."""
        try:
            return home.expanduser()
        except RuntimeError:
            raise ValueError(f"{home} names no user's folder that is known; give its whole path") from None

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if self.signal_exit_edge_usd > self.signal_entry_edge_usd:
            raise ValueError("CROSSBOOK_SIGNAL_EXIT_EDGE_USD must not exceed CROSSBOOK_SIGNAL_ENTRY_EDGE_USD")
        if not self.disk_only_recording_mb <= self.disk_no_new_trades_mb <= self.disk_low_mb:
            raise ValueError(
                "CROSSBOOK_DISK_NO_NEW_TRADES_MB must not exceed CROSSBOOK_DISK_LOW_MB, nor be less than "
                "CROSSBOOK_DISK_ONLY_RECORDING_MB"
            )
        return self

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        own = [name for name in self.model_fields_set if name.startswith("database_url_") and getattr(self, name)]
        if own and self.database_url is None:
            raise ValueError(f"{setting_name(min(own))} needs DATABASE_URL, the address of the owner, beside it")
        return self

    @property
    def trading_mode(self) -> Literal["off", "paper", "live"]:
        """The trading mode in force: as set, else live in the sandbox and paper elsewhere."""
        if self.trading is not None:
            return self.trading
        return "live" if self.venues == "sandbox" else "paper"

    @property
    def long_days(self) -> Decimal:
        """Capital that is back later counts as tied up for long, in days: as set, else by the exchanges."""
        if self.long_capital_days is not None:
            return self.long_capital_days
        return Decimal("0.02") if self.venues == "sandbox" else Decimal(2)

    @property
    def most_legs(self) -> int:
        """Most legs of a hedge: as set, else by the exchanges."""
        return self.max_legs or (3 if self.venues == "sandbox" else 2)

    @property
    def needs_approval(self) -> bool:
        """Whether a group is traded only once it is approved: anywhere but on paper outside of the sandbox."""
        return self.venues == "sandbox" or self.trading_mode != "paper"

    @property
    def is_live(self) -> bool:
        """Whether orders go to live venues."""
        return self.venues == "live" and self.trading_mode == "live"

    @property
    def home_dir(self) -> Path:
        """`home` as an absolute path."""
        return self.home.absolute()


def check_intent(settings: Settings) -> None:
    """Refuse to send live orders to live venues unless that was said at this start.

    Only what sends orders asks: whoever has not said it must still be able to look, and to pull the kill switch.

    Raises:
        ConfigurationError: If it was not said.
    """
    if settings.is_live and not settings.i_understand:
        raise ConfigurationError("CROSSBOOK_TRADING: live orders on live venues need --i-understand.")


def setting_name(field: str) -> str:
    """Return the environment variable of a field."""
    return _OWN_NAMES.get(field, f"CROSSBOOK_{field.upper()}")


def written_value(value: object) -> str:
    """Return a setting's value as it can be read again: numbers in plain digits, never with an exponent."""
    return format(Decimal(str(value)), "f") if isinstance(value, float | Decimal) else str(value)


def hold_secrets(values: Mapping[str, Any]) -> None:
    """Keep settings in the memory of this process, by field, instead of those held before.

    What this process starts inherits them as little as what looks at its environment finds them.
    """
    _held.clear()
    _held.update(values)


def load_settings(**overrides: Any) -> Settings:
    """Build the settings from the environment, `.env`, what `hold_secrets` was given, and `overrides` (which win).

    Raises:
        ConfigurationError: With one sentence that names the setting and what is wrong with it, never its value when
            it is a secret.
    """
    in_file = {} if SUPERVISED in os.environ else names_in_file(ENV_FILE)
    check_names({setting_name(name) for name in Settings.model_fields}, os.environ, in_file, ENV_FILE)
    if setting_name("i_understand") in in_file:
        raise ConfigurationError("CROSSBOOK_I_UNDERSTAND is said at each start with --i-understand, not in a file.")
    file = None if SUPERVISED in os.environ else ENV_FILE
    try:
        settings = Settings(_env_file=file, **{**_held, **overrides})  # type: ignore[call-arg]
        settings.home_dir  # noqa: B018 - it may not be known
    except FileNotFoundError:
        raise ConfigurationError("The working directory is gone; change to one that exists.") from None
    except RuntimeError:
        raise ConfigurationError("CROSSBOOK_HOME begins with ~, and there is no home folder; write it whole.") from None
    except ValidationError as error:
        raise ConfigurationError(_sentence(error)) from None
    return settings


def _sentence(error: ValidationError) -> str:
    """Return the first thing that is wrong as one sentence, without the value."""
    first = error.errors(include_input=False, include_url=False)[0]
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    if not first["loc"]:
        return f"{said}."
    field = str(first["loc"][0])
    name = field if field.isupper() else setting_name(field)
    return f"{name} cannot be used: {said[0].lower()}{said[1:]}."
