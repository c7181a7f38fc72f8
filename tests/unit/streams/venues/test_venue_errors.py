"""What failed answers of both venues mean: the class says what may be done next."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from streams.market.errors import (
    AuthenticationFailed,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Refused,
    StreamsError,
    TransientError,
    Unavailable,
)
from streams.venues.common.http import HttpRequest, call
from streams.venues.kalshi.errors import classify as kalshi
from streams.venues.polymarket.errors import HeartbeatMismatch
from streams.venues.polymarket.errors import classify as polymarket


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, {"error": {"code": "header_timestamp_expired", "message": "x"}}, AuthenticationFailed, None),
        (401, {"code": "token_authentication_failure"}, AuthenticationFailed, None),
        (400, {"error": {"code": "invalid_order", "details": "post only cross"}}, Refused, "invalid_order"),
        (400, {"code": "bad_request", "message": "bad request"}, Refused, "bad_request"),
        (400, {"msg": "Parameter validation failed"}, Refused, "invalid_parameters"),
        (404, {"error": {"code": "not_found"}}, NotFound, None),
        (404, {"error": {"code": "insufficient_shard_balance"}}, Refused, "insufficient_shard_balance"),
        (409, {"error": {"code": "order_already_exists"}}, Refused, "order_already_exists"),
        (410, {"error": {"code": "deprecated_v1_order_endpoint"}}, Refused, "deprecated_v1_order_endpoint"),
        (429, {"error": "too many requests"}, RateLimited, None),
        (429, {"error": {"code": "too_many_requests"}}, RateLimited, None),
        (503, {"error": {"code": "service_unavailable"}}, OutcomeUnknown, None),
        (502, "<html>", OutcomeUnknown, None),
        (418, "", Refused, "http_418"),
    ],
)
def test_kalshi_is_read_by_code_before_status(
    status: int, body: object, kind: type[StreamsError], code: str | None
) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    error = kalshi(status, raw, {}, True)
    assert type(error) is kind
    if code is not None:
        assert isinstance(error, Refused)
        assert (error.code, error.status) == (code, status)
    if kind is OutcomeUnknown:
        assert type(kalshi(status, raw, {}, False)) is TransientError


def test_every_kalshi_error_sample_is_classified(shared_dir: Path) -> None:
    for path in sorted((shared_dir / "venues/kalshi-samples").glob("err_4*.json")):
        error = kalshi(int(path.name.split("_")[1]), path.read_bytes(), {}, True)
        assert isinstance(error, AuthenticationFailed | NotFound | Refused | RateLimited), path.name
        if isinstance(error, Refused):
            assert not error.code.startswith("http_"), path.name


@pytest.mark.parametrize(
    ("status", "text", "kind", "code"),
    [
        (400, "order_version_mismatch", Refused, "order_version_mismatch"),
        (400, "order 0xabc is invalid. Duplicated.", Refused, "duplicate_order"),
        (400, "not enough balance / allowance: ...", Refused, "insufficient_balance"),
        (400, "order couldn't be fully filled. FOK orders are fully filled or killed.", Refused, "fok_not_filled"),
        (400, "no orders found to match with FAK order.", Refused, "fak_not_matched"),
        (400, "Price (0.525) breaks minimum tick size rule: 0.01", Refused, "invalid_price"),
        (400, "the order owner has to be the owner of the API KEY", AuthenticationFailed, None),
        (400, "something new", Refused, "refused"),
        (401, "Unauthorized/Invalid api key", AuthenticationFailed, None),
        (404, "No orderbook exists for the requested token id", NotFound, None),
        (425, "matching engine restarting", Unavailable, None),
        (500, "could not insert order", OutcomeUnknown, None),
        (503, "Trading is currently disabled", Refused, "trading_disabled"),
        (503, "", OutcomeUnknown, None),
        (503, "the trading gateway is busy", OutcomeUnknown, None),
        (408, "request timeout", OutcomeUnknown, None),
    ],
)
def test_polymarket_is_read_by_status_and_words(
    status: int, text: str, kind: type[StreamsError], code: str | None
) -> None:
    error = polymarket(status, json.dumps({"error": text}).encode(), {}, True)
    assert type(error) is kind
    if code is not None:
        assert isinstance(error, Refused)
        assert error.code == code


def test_polymarkets_wait_is_taken_from_the_header() -> None:
    error = polymarket(429, b'{"error":"rate limited"}', {"Retry-After": "7"}, True)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 7.0
    unreadable = polymarket(429, b"", {"Retry-After": "soon"}, False)
    assert isinstance(unreadable, RateLimited)


def test_every_polymarket_error_sample_is_classified(shared_dir: Path) -> None:
    for sample in json.loads((shared_dir / "venues/polymarket-samples/clob_errors.json").read_text()):
        error = polymarket(sample["status"], json.dumps(sample["body"]).encode(), sample.get("headers", {}), False)
        assert isinstance(error, StreamsError)
        assert isinstance(error, Refused) == (sample["status"] == 400 and "API KEY" not in str(sample["body"])) or (
            sample["status"] == 503
        )


def attempt(failure: Exception, *, is_write: bool) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise failure

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http:
            request = HttpRequest("POST", "http://127.0.0.1/x?secret=1", is_write=is_write)
            await call(http, request, classify=kalshi)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ConnectError("refused"), TransientError),
        (httpx.ConnectTimeout("slow"), TransientError),
        (httpx.ReadTimeout("no answer"), OutcomeUnknown),
        (httpx.RemoteProtocolError("gone"), OutcomeUnknown),
        (httpx.WriteError("half"), OutcomeUnknown),
    ],
)
def test_a_write_without_answer_is_unknown_unless_it_never_left(failure: Exception, kind: type[StreamsError]) -> None:
    with pytest.raises(kind) as raised:
        attempt(failure, is_write=True)
    assert "secret" not in str(raised.value)
    with pytest.raises(TransientError):
        attempt(failure, is_write=False)


NOW_S = 1_790_934_250.0


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({"Retry-After": "7", "Poly-RateLimit-Reset": "3"}, {}, 7.0),
        ({"poly-ratelimit-reset": "1790934259"}, {}, 9.0),
        ({"Poly-RateLimit-Reset": "1790934200"}, {}, 0.0),
        ({"Poly-RateLimit-Reset": "4"}, {}, 4.0),
        ({}, {"retry_after_seconds": 79}, 79.0),
        ({"Retry-After": "99999"}, {}, 600.0),
        ({"Retry-After": "nan"}, {}, 1.0),
        ({}, {}, 1.0),
    ],
)
def test_polymarkets_wait_is_found_wherever_it_stands(
    headers: dict[str, str], body: dict[str, object], wait: float
) -> None:
    error = polymarket(429, json.dumps(body).encode(), headers, True, now_s=NOW_S)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == wait


@pytest.mark.parametrize("is_write", [True, False])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Trading is currently disabled. Check polymarket.com for updates", "trading_disabled"),
        ("Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.", "cancel_only_mode"),
        ("post-only mode: only post-only orders and cancels are allowed", "post_only_mode"),
    ],
)
def test_polymarkets_modes_take_nothing_and_say_which(text: str, code: str, is_write: bool) -> None:
    error = polymarket(503, json.dumps({"error": text}).encode(), {"Retry-After": "79"}, is_write)
    assert isinstance(error, Refused)
    assert (error.code, error.retry_after_s, error.status) == (code, 79.0, 503)


def test_a_wrong_heartbeat_names_the_right_one() -> None:
    body = b'{"error_msg":"Invalid Heartbeat ID","heartbeat_id":"h2"}'
    error = polymarket(400, body, {}, True)
    assert isinstance(error, HeartbeatMismatch)
    assert (error.heartbeat_id, error.code) == ("h2", "heartbeat_mismatch")


def test_a_data_api_error_says_whether_a_later_attempt_may_help() -> None:
    body = {"error": "upstream", "code": "internal", "retryable": True}
    assert type(polymarket(400, json.dumps(body).encode(), {}, False)) is TransientError
    refused = polymarket(400, json.dumps(body | {"retryable": False}).encode(), {}, False)
    assert isinstance(refused, Refused)
    assert refused.code == "internal"
