"""Bodies of the API's requests and responses. Decimals are strings, times ISO 8601 in UTC."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

T = TypeVar("T")

Amount = Annotated[
    Decimal,
    PlainSerializer(lambda value: format(value, "f"), return_type=str, when_used="json"),
    Field(examples=["0.42"]),
]
"""A decimal as a string: no digit is lost on the way."""


class Answer(BaseModel):
    """Built from the rows of `app.queries`."""

    model_config = ConfigDict(from_attributes=True)


class Listed(BaseModel, Generic[T]):
    """One page. `next_cursor` goes into the next call's `cursor`; null on the last page."""

    items: list[T]
    next_cursor: str | None = None
    note: str | None = Field(
        default=None, description="Why the list is empty when its source cannot be read yet, or what is doubtful in it."
    )


class Problem(BaseModel):
    """Every error's body."""

    code: str = Field(examples=["unknown_pair"])
    message: str = Field(description="One sentence that says what to do.")
    field: str | None = Field(default=None, description="The parameter that is wrong.")


class ProblemBody(BaseModel):
    """The envelope of every error."""

    error: Problem


class Market(Answer):
    """One market. Prices in dollars per YES contract."""

    venue: str
    market_id: str
    event_id: str
    title: str
    subtitle: str
    event_title: str
    category: str
    status: str
    close_time: datetime | None
    result: str | None
    settlement_value: Amount | None
    is_recorded: bool
    bid: Amount | None
    ask: Amount | None
    quote_state: str | None
    quoted_at: datetime | None
    is_polled: bool | None = Field(description="The last quote came by REST polling, not a stream; null without one.")


class MarketPair(Answer):
    """One pair with its state by the last decision."""

    pair_id: str
    kalshi_market_id: str
    polymarket_market_id: str
    kalshi_title: str
    polymarket_title: str
    relation: str
    polarity: str
    state: str
    confidence: Amount | None
    judge: str | None
    decided_by: str | None
    decided_at: datetime | None
    environment: str
    kalshi_text_hash: str
    polymarket_text_hash: str
    created_at: datetime


class OrderBook(Answer):
    """One book in YES terms: [[price, size], ...], best first."""

    venue: str
    market_id: str
    bids: list[tuple[Amount, Amount]]
    asks: list[tuple[Amount, Amount]]
    updated_at: datetime
    state: str = Field(description="live, stale, crossed or unknown, as the recorder last said")
    age_s: float = Field(description="Seconds since the last change that was received.")
    is_stale: bool = Field(description="True unless the recorder keeps this book live.")
    is_polled: bool = Field(description="True where the book is asked for over REST, as without a key of the venue.")


class Spread(Answer):
    """One minute of one pair, dollars per contract. Statistics are null below enough observations."""

    pair_id: str
    minute: datetime
    kalshi_mid: Amount | None
    polymarket_mid: Amount | None
    mid_spread: Amount | None
    cross_edge: Amount | None
    avg_60m: Amount | None
    stddev_60m: Amount | None
    z_score: Amount | None
    half_life_minutes: Amount | None
    observations: int | None
    source: str
    is_polled: bool | None = Field(
        description="One of the books was polled; null where the row is older than the mark."
    )


class Opportunity(Answer):
    """One opportunity (a row of `trading.signals`); `refusals` counts how often it was refused, by reason."""

    signal_id: int
    group_id: str
    kind: str
    title: str
    is_tradable: bool
    opened_at: datetime
    closed_at: datetime | None
    close_reason: str
    duration_s: Amount
    open_edge_usd: Amount
    peak_edge_usd: Amount
    last_edge_usd: Amount
    contracts: Amount
    cost_usd: Amount
    fee_usd: Amount
    profit_usd: Amount
    annualised_return: Amount | None
    legs: list[dict[str, Any]]
    outcome: str
    refusal_reason: str | None
    refusal_detail: str | None
    refusals: dict[str, int]
    executions: int


class Trade(Answer):
    """One execution of a hedge."""

    execution_id: int
    signal_id: int
    group_id: str
    kind: str
    title: str
    state: str
    mode: str
    environment: str
    started_at: datetime
    flat_at: datetime | None
    settled_at: datetime | None
    edge_usd: Amount
    contracts: Amount
    cost_usd: Amount
    fees_usd: Amount
    expected_pnl_usd: Amount | None
    realised_pnl_usd: Amount | None
    locked_floor_usd: Amount | None = Field(
        description="The least it ends with in a normal outcome, as its fills lock it in."
    )
    exit_value_usd: Amount | None = Field(
        description="What it ends with if all is sold now at the best bids, after fees; null where nobody bids."
    )
    settled_cash_usd: Amount = Field(description="Its cash so far that is final.")
    capital_dollar_days: Amount | None = Field(description="Dollars tied up times days.")
    return_on_capital: Amount | None = Field(description="Realised, for each dollar tied up for a year.")
    legs: list[dict[str, Any]]


class FailedTest(Answer):
    """A data test of the warehouse that does not pass, and since when."""

    test: str
    marts: list[str] = Field(description="Every mart that stands on what it tests.")
    failed_at: datetime


class Mart(Answer):
    """One mart of the warehouse that is a table."""

    name: str
    rows: int
    age_s: float | None
    failed_tests: list[FailedTest] = Field(
        description="Its data tests that do not pass; the mart is shown all the same."
    )


class View(Answer):
    """One mart of the warehouse that is a view, which is always up to date."""

    name: str
    age_s: float | None = Field(description="Of the newest fact in it.")
    failed_tests: list[FailedTest] = Field(
        description="Its data tests that do not pass; the view is shown all the same."
    )


class Mode(BaseModel):
    """Which exchanges, and what happens to orders."""

    venues: str
    trading: str | None


class HealthFinding(Answer):
    """Something that is wrong, as `crossbook doctor` says it."""

    check: str
    found: str
    remedy: str


class AlertsState(BaseModel):
    """Open alerts: how many, how many nobody acknowledged or reached nobody, and by which channels they are sent."""

    open: int
    critical: int
    unacknowledged: int
    undelivered: int
    channels: list[str] = Field(description="Kinds of the channels in their order; empty: no channel is set.")
    sentences: list[str] = Field(description="What stands above the dashboard's pages; empty where nothing does.")


class Health(BaseModel):
    """How the system is. Without a database the counts are null or empty, and the status is `down`."""

    status: Literal["ok", "degraded", "down"] = Field(
        description="down: the database does not answer or is busy. degraded: something is wrong; see `findings`."
    )
    problems: list[str]
    findings: list[HealthFinding]
    mode: Mode
    switch: str | None = None
    markets: dict[str, int] = {}
    candidates: int | None = None
    verdicts: int | None = None
    pairs: dict[str, int] = {}
    deltas: int | None = None
    gaps: dict[str, int] = {}
    marts: list[Mart] = []
    views: list[View] = []
    signals: int | None = None
    refusals: dict[str, int] = {}
    pnl_usd: Amount | None = None
    open_alerts: int | None = None
    alerts: AlertsState | None = None
    recorder_age_s: float | None = None
    quote_age_s: float | None = None


FOR = "For whom: stands in the reason. The row has the name of the token's or session's person."


class SwitchBody(BaseModel):
    """Why trading is switched."""

    model_config = ConfigDict(extra="forbid")

    who: str | None = Field(default=None, description=FOR)
    reason: str = Field(default="", description="At most 1000 printable characters; a kill's is cut to them.")
    seen_state: str | None = Field(
        default=None,
        max_length=20,
        description="Refused with 409 unless the switch is in this state. A kill is never refused for it.",
    )


class OrderUnderWay(BaseModel):
    """An order whose fate is open."""

    model_config = ConfigDict(from_attributes=True)

    order_id: int
    execution_id: int = Field(description="The trade it belongs to.")
    venue: str
    market_id: str
    state: str


class SwitchAnswer(BaseModel):
    """The switch in force after the request, and after a kill what is still under way."""

    switch_id: int | None = Field(description="Null for a kill that is not recorded yet.")
    state: str
    set_by: str
    set_at: datetime
    under_way: list[OrderUnderWay] = Field(
        default=[], description="After a kill: orders that had no last word within two seconds."
    )
    is_intent_open: bool = Field(
        default=False, description="After a kill: somebody is writing an order, which will not be sent."
    )
    is_under_way_known: bool = Field(default=True, description="False where the warehouse answered no more.")
    is_recorded: bool = Field(
        default=True,
        description="False for a kill that lies on disk because the warehouse does not answer: in force for every order"
        " of this machine that has not left, and recorded as soon as the warehouse is there.",
    )


class FlattenLegAnswer(Answer):
    """What a flatten would sell of one outcome; dollars per contract. Null without a bid."""

    venue: str
    market_id: str
    outcome: str
    title: str
    contracts: Amount
    best_bid: Amount | None
    worst_price: Amount | None
    book_age_s: float | None
    is_stale: bool


class FlattenOfferAnswer(Answer):
    """What a flatten of a trade would sell, and at worst for how much. Pass `seen` to ask for just this."""

    execution_id: int
    title: str
    state: str
    mode: str
    slippage_usd: Amount
    least_usd: Amount | None
    legs: list[FlattenLegAnswer]
    seen: str


class FlattenBody(BaseModel):
    """Why a trade is sold, and what was seen of it."""

    model_config = ConfigDict(extra="forbid")

    who: str | None = Field(default=None, description=FOR)
    reason: str = Field(default="", max_length=1000)
    seen: str = Field(
        max_length=64, description="`seen` of the offer that was read; refused with 409 if the trade changed since."
    )


class FlattenAnswer(BaseModel):
    """The act that was written, with what it may sell."""

    command_id: int
    offer: FlattenOfferAnswer


class AccountBody(BaseModel):
    """Why an account may open again, and what was seen of it."""

    model_config = ConfigDict(extra="forbid")

    who: str | None = Field(default=None, description=FOR)
    reason: str = Field(min_length=1, max_length=1000, description="What explains the difference, or who traded.")
    seen: str | None = Field(
        default=None,
        max_length=64,
        description="`seen` of the account that was read; refused with 409 if something else came to light since.",
    )


class AccountReading(BaseModel):
    """The last comparison of an account with our books, in dollars."""

    model_config = ConfigDict(from_attributes=True)

    venue: str
    read_at: datetime
    verdict: str = Field(description="agrees, explained or outside.")
    cash_usd: Decimal
    low_usd: Decimal
    booked_usd: Decimal
    high_usd: Decimal


class AccountDifference(BaseModel):
    """A figure of an account that differs from our books."""

    model_config = ConfigDict(from_attributes=True)

    what: str = Field(description='"cash" (dollars), or "position:MARKET:OUTCOME" (contracts).')
    state: str = Field(description="watched, or open: a break that waits for a person.")
    low: Decimal
    high: Decimal
    venue: Decimal
    since: datetime


class ForeignThing(BaseModel):
    """An order or a fill that Crossbook did not send and nobody has acknowledged."""

    model_config = ConfigDict(from_attributes=True)

    kind: str
    market_id: str
    order_id: str
    contracts: Decimal
    cash_usd: Decimal
    seen_at: datetime


class AccountView(BaseModel):
    """The account at one venue beside our books."""

    model_config = ConfigDict(from_attributes=True)

    venue: str
    state: str = Field(description="run, or reduce: only a person lets it open again.")
    set_by: str
    reason: str
    set_at: datetime | None
    seen: str | None
    reading: AccountReading | None
    differences: list[AccountDifference]
    foreign: list[ForeignThing]


class AccountAnswer(BaseModel):
    """The switch of an account after the request."""

    switch_id: int
    venue: str
    state: str
