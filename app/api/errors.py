"""Errors of the API: one typed body for all, and the status of each failure."""

from __future__ import annotations

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException

from app.api.schemas import Problem, ProblemBody
from app.operator_actions import ActRefused, TextsChanged, UnknownSubject
from app.queries.rows import InvalidCursor
from streams.market.errors import ConfigurationError


class ApiProblem(Exception):
    """An error response."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def install_handlers(app: FastAPI) -> None:
    """Give every failure the same body."""
    app.add_exception_handler(ApiProblem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    for kind, status, code in (
        (InvalidCursor, 422, "invalid_cursor"),
        (UnknownSubject, 404, "unknown_subject"),
        (TextsChanged, 409, "texts_changed"),
        (ActRefused, 422, "refused"),
    ):
        app.add_exception_handler(kind, _answer_with(status, code))
    for failure in (psycopg.OperationalError, PoolTimeout, ConfigurationError):
        app.add_exception_handler(failure, _on_unavailable)
    for missing in (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        app.add_exception_handler(missing, _on_no_schema)
    app.add_exception_handler(psycopg.DataError, _answer_with(422, "invalid_value", "A value is not usable."))


def problem_response(status: int, code: str, message: str, field: str | None = None) -> JSONResponse:
    """Return an error with the one body all errors have."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    body = ProblemBody(error=Problem(code=code, message=message, field=field))
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


def _answer_with(status: int, code: str, message: str | None = None):  # type: ignore[no-untyped-def]
    def handle(_request: Request, error: Exception) -> JSONResponse:
        return problem_response(status, code, message or str(error))

    return handle


def _on_problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiProblem)
    return problem_response(error.status, error.code, str(error))


def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("query", "body", "path"))
    return problem_response(422, "invalid_request", str(first["msg"]), place or None)


def _on_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return problem_response(error.status_code, code, str(error.detail))


def _on_unavailable(_request: Request, _error: Exception) -> JSONResponse:
    return problem_response(503, "warehouse_unavailable", "The warehouse does not answer; see `crossbook doctor`.")


def _on_no_schema(_request: Request, _error: Exception) -> JSONResponse:
    return problem_response(503, "no_schema", "The database has no Crossbook schema yet; `make up` creates it.")
