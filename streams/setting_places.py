"""The settings of places (folders, database, disk, alerts, ports, venues, sandbox), accounts, limits, hedges, sign-in.

Part of `streams.settings`.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings

from streams.setting_types import Amount, Channels, DatabaseAddress, Secret, WebAddress, Webhook

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _issuer(address: str) -> str:
    parts = urlsplit(address)
    if address and parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ValueError("it must begin with https://")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("it must be the issuer as the provider writes it, without anything behind")
    return address


class SignIn(BaseSettings):
    """Who vouches for people besides this home's own accounts."""

    # -- signing in -------------------------------------------------------------------------------------------------
    oidc_issuer: Annotated[WebAddress, AfterValidator(_issuer)] = Field(
        "", description="OpenID Connect provider, as it names itself (https://...); empty: local accounts only."
    )
    oidc_client_id: str = Field("", max_length=500, description="Our client id there.")
    oidc_client_secret: Secret | None = Field(None, description="Our client secret there; none: a public client.")
    oidc_default_role: Literal["viewer", "reviewer"] | None = Field(
        None,
        description="Role of people the provider vouches for who have no account yet. Default: they are refused.",
    )

    @model_validator(mode="after")
    def _check_provider(self) -> Self:
        if bool(self.oidc_issuer) != bool(self.oidc_client_id):
            raise ValueError("CROSSBOOK_OIDC_ISSUER and CROSSBOOK_OIDC_CLIENT_ID need each other")
        return self


class Accounts(BaseSettings):
    """What is expected of the accounts at the venues, and what accounts on paper hold."""

    # -- accounts ---------------------------------------------------------------------------------------------------
    polymarket_working_capital_usd: Amount = Field(
        Decimal("5000"), ge=0, le=100_000_000, description="No live run is armed while the wallet holds more cash."
    )
    kalshi_subaccount: int | None = Field(
        None,
        ge=0,
        le=63,
        description="Kalshi's subaccount that only Crossbook trades, 0 for an account of its own. Live needs it.",
    )
    kalshi_move_fees: Literal["inside", "on_top"] = Field(
        "inside", description="Whether the amounts of Kalshi's deposits and withdrawals hold their fees; not confirmed."
    )
    polymarket_heartbeat: bool = Field(
        True, description="The armed run feeds Polymarket's dead man's switch: its silence cancels what rests there."
    )
    unexplained_after_s: float = Field(
        120.0, ge=1, le=86_400, description="An account's difference that what is open there allows alarms after this."
    )

    # -- paper ------------------------------------------------------------------------------------------------------
    paper_fidelity: Literal["pessimistic", "realistic", "optimistic"] = Field(
        "realistic", description="What paper assumes where real books cannot tell; see docs/how-to/go-live.md."
    )
    paper_cash_usd: Amount = Field(
        Decimal("10000"),
        ge=0,
        le=100_000_000,
        description="Cash paid into the paper account of each venue, on Kalshi in equal parts to its exchange shards.",
    )
    paper_fade_probability: Amount = Field(
        Decimal("0.25"),
        ge=0,
        le=1,
        description="Realistic paper: chance that makers step back before an order that follows a first fill.",
    )
    paper_fade_usd: Amount = Field(
        Decimal("0.01"), ge=0, le=1, description="How far makers step back on paper, per contract."
    )


class Hedging(BaseSettings):
    """Bounds of a hedge that is out of balance."""

    # -- hedging ----------------------------------------------------------------------------------------------------
    exposure_alarm_usd_s: Amount = Field(
        Decimal("100"),
        gt=0,
        le=1_000_000_000,
        description="Exposure times seconds of one hedge at which it alarms, if 90 s of its planned profit is more.",
    )
    mending_loss_day_usd: Amount = Field(
        Decimal("50"),
        ge=0,
        le=100_000_000,
        description="Most that mending may lose on one UTC day, all hedges together; what is left bounds each order.",
    )


class Limits(BaseSettings):
    """What the limits are before a person sets them; from then on their table counts."""

    # -- limits -----------------------------------------------------------------------------------------------------
    limit_order_contracts: Amount = Field(
        Decimal("50"), gt=0, le=10_000_000, description="First value of limit `order_contracts`."
    )
    limit_market_usd: Amount = Field(
        Decimal("200"), gt=0, le=100_000_000, description="First value of limit `market_usd`."
    )
    limit_pair_usd: Amount = Field(Decimal("300"), gt=0, le=100_000_000, description="First value of limit `pair_usd`.")
    limit_event_usd: Amount = Field(
        Decimal("600"), gt=0, le=100_000_000, description="First value of limit `event_usd`."
    )
    limit_venue_usd: Amount = Field(
        Decimal("2000"), gt=0, le=100_000_000, description="First value of limit `venue_usd`."
    )
    limit_edge_usd: Amount = Field(Decimal("0.05"), gt=0, le=1, description="First value of limit `edge_usd`.")
    limit_unknown_orders: int = Field(3, ge=0, le=1_000, description="First value of limit `unknown_orders`.")
    limit_orders_per_minute: int = Field(600, ge=1, le=100_000, description="First value of limit `orders_per_minute`.")
    limit_hedges_per_minute: int = Field(120, ge=1, le=100_000, description="First value of limit `hedges_per_minute`.")
    limit_total_usd: Amount = Field(
        Decimal("2000"), gt=0, le=100_000_000, description="First value of limit `total_usd`."
    )
    limit_daily_loss_usd: Amount = Field(
        Decimal("100"), gt=0, le=100_000_000, description="First value of limit `daily_loss_usd`."
    )


class Breakers(BaseSettings):
    """When a circuit breaker trips: within which time, from how many orders or hedges on, and above what."""

    # -- circuit breakers -------------------------------------------------------------------------------------------
    breaker_reject_window_s: float = Field(
        600.0, gt=0, le=86_400, description="Breaker `reject_rate`: orders of an account within this time count."
    )
    breaker_reject_count: int = Field(20, ge=1, le=10_000, description="It needs this many orders.")
    breaker_reject_share: Amount = Field(
        Decimal("0.3"), ge=0, le=1, description="It trips above this share of orders that the venue refuses."
    )
    breaker_venue_errors_window_s: float = Field(
        600.0, gt=0, le=86_400, description="Breaker `venue_errors`: orders of an account within this time count."
    )
    breaker_venue_errors_count: int = Field(20, ge=1, le=10_000, description="It needs this many orders.")
    breaker_venue_errors_share: Amount = Field(
        Decimal("0.3"), ge=0, le=1, description="It trips above this share of orders without an answer of use."
    )
    breaker_slippage_window_s: float = Field(
        3600.0, gt=0, le=604_800, description="Breaker `slippage`: hedges that bought and ended within this time count."
    )
    breaker_slippage_count: int = Field(20, ge=1, le=10_000, description="It needs this many hedges.")
    breaker_slippage_share: Amount = Field(
        Decimal("0.03"),
        ge=0,
        le=1,
        description="It trips where they locked less than planned by more than this share of the dollars bought.",
    )
    breaker_gap_window_s: float = Field(
        3600.0, gt=0, le=604_800, description="Breaker `gap_rate`: hedges that bought and ended within this time count."
    )
    breaker_gap_count: int = Field(20, ge=1, le=10_000, description="It needs this many hedges.")
    breaker_gap_share: Amount = Field(
        Decimal("0.6"), ge=0, le=1, description="It trips above this share of hedges that were sold again or escalated."
    )
    breaker_loss_window_s: float = Field(
        3600.0, gt=0, le=604_800, description="Breaker `loss`: hedges that bought and ended within this time count."
    )
    breaker_loss_count: int = Field(1, ge=1, le=10_000, description="It needs this many hedges.")
    breaker_loss_usd: Amount = Field(
        Decimal("50"), gt=0, le=100_000_000, description="It trips where they lost more than this together."
    )


class Places(BaseSettings):
    """Where everything is and which exchanges are talked to."""

    # -- where things are -------------------------------------------------------------------------------------------
    home: Path = Field(Path(".crossbook"), description="Folder of everything the system writes.")
    venues: Literal["sandbox", "demo", "live"] = Field("sandbox", description="Which exchanges to talk to.")
    trading: Literal["off", "paper", "live"] | None = Field(
        None, description="What happens to orders. Default: live in the sandbox, paper elsewhere."
    )
    i_understand: bool = Field(False, description="Needed for live orders on live venues; set by `--i-understand`.")
    database_url: DatabaseAddress | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="PostgreSQL 15+ to use instead of the embedded one (postgresql://user:password@host:port/name).",
    )
    database_url_dagster: DatabaseAddress | None = Field(
        None, description="Address for Dagster's own tables, if not DATABASE_URL; see docs/how-to/own-postgresql.md."
    )
    database_url_batch: DatabaseAddress | None = Field(
        None, description="Address for discovery, matching, judging and upkeep, if not DATABASE_URL."
    )
    database_url_dbt: DatabaseAddress | None = Field(None, description="Address for dbt, if not DATABASE_URL.")
    database_url_recorder: DatabaseAddress | None = Field(
        None, description="Address for recorders, if not DATABASE_URL."
    )
    database_url_trading: DatabaseAddress | None = Field(
        None, description="Address for trading runs, if not DATABASE_URL."
    )
    database_url_interface: DatabaseAddress | None = Field(
        None, description="Address for dashboard, API, command line and supervisor, if not DATABASE_URL."
    )
    database_url_reader: DatabaseAddress | None = Field(
        None, description="Address for people who ask SQL (`crossbook sql`); its login may only read."
    )
    database_prepare_threshold: int = Field(
        5,
        ge=0,
        le=1_000_000,
        description="Statements run this often are prepared on the server of DATABASE_URL; 0: none (for a pooler).",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    min_free_disk_mb: int = Field(
        500, ge=0, le=100_000_000, description="The start is refused below this much free disk (MB)."
    )
    disk_low_mb: int = Field(
        2000, ge=0, le=100_000_000, description="Below this much free disk (MB) there is an alarm."
    )
    disk_no_new_trades_mb: int = Field(
        1000, ge=0, le=100_000_000, description="Below this much free disk (MB) no trade is opened."
    )
    disk_only_recording_mb: int = Field(
        500,
        ge=0,
        le=100_000_000,
        description="Below this much free disk (MB) only recording goes on, and open trades are ended.",
    )

    # -- where alerts go --------------------------------------------------------------------------------------------
    alert_webhook_url: Webhook | None = Field(
        None, description="Where alerts are posted as JSON; the first channel where it is set."
    )
    alert_channels: Channels | None = Field(
        None,
        description="Further channels in their order, addresses of apprise with blanks between them; "
        "see docs/how-to/alerts.md.",
    )
    alert_severities: str = Field(
        "",
        description="Least severity of each channel, with commas between: notice (default), warning or critical.",
    )
    alert_cooldown_s: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="What alarmed is not sent again for this long (seconds); what happened meanwhile follows at once.",
    )
    dead_man_url: Webhook | None = Field(
        None, description="Asked for (GET) while all is well, so that a service outside alarms when it stops."
    )
    dead_man_interval_s: float = Field(60.0, ge=1, le=86_400, description="Time between two such requests (seconds).")

    # -- ports (all on 127.0.0.1) -----------------------------------------------------------------------------------
    dagster_port: int = Field(3000, ge=1, le=65535, description="Dagster webserver.")
    dashboard_port: int = Field(8501, ge=1, le=65535, description="Streamlit dashboard.")
    api_port: int = Field(8000, ge=1, le=65535, description="HTTP API.")
    code_server_port: int = Field(4000, ge=1, le=65535, description="Dagster code server (gRPC).")
    kalshi_sandbox_port: int = Field(8601, ge=1, le=65535, description="Sandbox Kalshi.")
    polymarket_sandbox_port: int = Field(8602, ge=1, le=65535, description="Sandbox Polymarket.")
    sandbox_admin_port: int = Field(8603, ge=0, le=65535, description="Admin port of the sandbox; 0: any free one.")
    postgres_port: int = Field(5433, ge=1, le=65535, description="Embedded PostgreSQL.")
    other_hosts: str = Field(
        "",
        description="Names (host or host:port, comma-separated) besides 127.0.0.1 and localhost under which browsers "
        "reach the pages, behind a proxy of yours.",
    )
    requests_per_s: float = Field(
        200.0,
        gt=0,
        le=100_000,
        description="Requests a second of one person who is signed in, five times that at once.",
    )
    unknown_requests_per_s: float = Field(
        50.0, gt=0, le=100_000, description="Requests a second of all who are not signed in, five times that at once."
    )

    # -- HTTP API ---------------------------------------------------------------------------------------------------
    api_reads_without_token: bool = Field(
        True, description="Whether the API's reads need no token; its acts always need one."
    )
    api_token_requests_per_s: float = Field(
        50.0,
        gt=0,
        le=100_000,
        description="Requests a second of one token at the API, five seconds' worth at once; stops are never counted.",
    )
    api_open_requests_per_s: float = Field(
        20.0,
        gt=0,
        le=100_000,
        description="Requests a second at the API of all who send no token, five seconds' worth at once.",
    )

    # -- venues -----------------------------------------------------------------------------------------------------
    kalshi_rest_url: WebAddress = Field("", description="Override of Kalshi's REST base, up to and with /trade-api/v2.")
    kalshi_ws_url: WebAddress = Field("", description="Override of Kalshi's socket address.")
    polymarket_gamma_url: WebAddress = Field("", description="Override of Gamma's base.")
    polymarket_clob_url: WebAddress = Field("", description="Override of the CLOB's base.")
    polymarket_ws_url: WebAddress = Field("", description="Override of the socket's base (…/ws).")
    polymarket_data_url: WebAddress = Field("", description="Override of the Data API's base.")
    polymarket_relayer_url: WebAddress = Field("", description="Override of Polymarket's relayer's base.")
    polymarket_site_url: WebAddress = Field(
        "", description="Override of Polymarket's website's base (its address check)."
    )
    http_timeout_s: float = Field(15.0, gt=0, le=600, description="Limit of one HTTP call.")
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
    kalshi_payout_step: Amount = Field(
        Decimal("0.01"),
        gt=0,
        le=1,
        description="Dollars in whole steps of which Kalshi pays an account for a market; it keeps the rest of what a"
        " scalar result (a void) is worth. Its docs say a cent; 0.0001 for direct members is another reading.",
    )
    kalshi_unsigned_reads_per_s: float = Field(
        3.0,
        gt=0,
        le=1_000,
        description="Reads a second of Kalshi without a key, over all processes (its limit is not published).",
    )
    keystore_passphrase: Secret | None = Field(
        None, description="Passphrase of the keystore. Without it a key file is used, which live keys refuse."
    )

    # -- sandbox ----------------------------------------------------------------------------------------------------
    sandbox_seed: int = Field(20260324, ge=-(2**63), lt=2**63, description="Seed of the sandbox's flow.")
    sandbox_catalogue: Path | None = Field(None, description="Catalogue file; default: the bundled one.")
    sandbox_truth: Path | None = Field(None, description="Which markets of the catalogue settle alike (JSON lines).")
    sandbox_faults: Path | None = Field(None, description="Fault file (JSON) of the sandbox exchanges.")
    sandbox_replay: Path | None = Field(None, description="Recorded books to replay instead of seeded flow.")
    sandbox_profile: Literal["zero", "realistic"] = Field(
        "realistic", description="Latencies and failures of the sandbox exchanges."
    )
    sandbox_scenario: Literal["calm", "mild", "harsh"] | None = Field(
        None,
        description="How often makers step back from us and rivals come first. Default: mild with the profile "
        "realistic, calm with zero.",
    )
    sandbox_behaviour: Path | None = Field(
        None, description="Figures that differ from the profile's and the scenario's (JSON file)."
    )

    @property
    def sandbox_scenario_in_force(self) -> Literal["calm", "mild", "harsh"]:
        """The scenario: as set, else what its profile begins with."""
        return self.sandbox_scenario or ("mild" if self.sandbox_profile == "realistic" else "calm")
