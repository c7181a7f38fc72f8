"""Errors of the API: one typed body for all, and the status of each failure."""

from __future__ import annotations

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException

from app.act_rules import ActRefused, ItChanged, TextsChanged, UnknownSubject
from app.api.schemas import Problem, ProblemBody
from app.doors.names import UnusableName
from app.doors.permission import ConfirmationNeeded, PermissionRefused
from app.kill import KillNotTaken
from app.queries.rows import InvalidCursor
from streams.market.errors import ConfigurationError
from streams.outermost import write_traceback
from streams.storage.outages import Trouble, trouble_of

TROUBLES = {
    Trouble.AWAY: ("warehouse_unavailable", 5, "The warehouse does not answer; see `crossbook doctor`."),
    Trouble.NO_WRITES: ("warehouse_read_only", 5, "The warehouse takes no writes for now; try again."),
    Trouble.BUSY: ("warehouse_busy", 2, "The warehouse is busy; try again in a few seconds."),
    Trouble.CONFLICT: ("warehouse_busy", 1, "The warehouse is busy; try again in a few seconds."),
}
"""Code, seconds after which to try again, and sentence of a trouble that passes."""


_CODES = {404: "not_found", 405: "method_not_allowed", 408: "too_slow", 413: "too_large", 422: "invalid_request"}


class ApiProblem(Exception):
    """An error response."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field


def install_handlers(app: FastAPI) -> None:
    """Give every failure the same body."""
    app.add_exception_handler(ApiProblem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    for kind, status, code in (
        (InvalidCursor, 422, "invalid_cursor"),
        (UnknownSubject, 404, "unknown_subject"),
        (TextsChanged, 409, "texts_changed"),
        (ItChanged, 409, "it_changed"),
        (ActRefused, 422, "refused"),
        (UnusableName, 422, "refused"),
        (KillNotTaken, 503, "kill_not_taken"),
    ):
        app.add_exception_handler(kind, _answer_with(status, code))
    app.add_exception_handler(PermissionRefused, _on_permission)
    app.add_exception_handler(ConfigurationError, _on_unavailable)
    app.add_exception_handler(psycopg.Error, _on_trouble)
    for missing in (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        app.add_exception_handler(missing, _on_no_schema)
    app.add_exception_handler(Exception, _on_unexpected)
    app.add_exception_handler(psycopg.DataError, _answer_with(422, "invalid_value", "A value is not usable."))


def problem_response(status: int, code: str, message: str, field: str | None = None) -> JSONResponse:
    """Return an error with the one body all errors have."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    body = ProblemBody(error=Problem(code=code, message=message, field=field))
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


def permission_response(error: PermissionRefused) -> JSONResponse:
    """Return that somebody may not do an act, or only once they were asked again who they are."""
    code = "confirmation_needed" if isinstance(error, ConfirmationNeeded) else "forbidden"
    return problem_response(403, code, str(error))


def _on_permission(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PermissionRefused)
    return permission_response(error)


def _answer_with(status: int, code: str, message: str | None = None):  # type: ignore[no-untyped-def]
    def handle(_request: Request, error: Exception) -> JSONResponse:
        return problem_response(status, code, message or str(error))

    return handle


def _on_problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiProblem)
    return problem_response(error.status, error.code, str(error), error.field)


def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("query", "body", "path"))
    return problem_response(422, "invalid_request", str(first["msg"]), place or None)


def _on_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "http_error")
    return problem_response(error.status_code, code, str(error.detail))


def _on_unexpected(_request: Request, error: Exception) -> JSONResponse:
    path = write_traceback(error)
    where = f"the details are in {path}" if path is not None else "its log has the details"
    return problem_response(500, "unexpected", f"Something unexpected went wrong; {where}.")


def _on_unavailable(_request: Request, _error: Exception) -> JSONResponse:
    return _trouble_response(Trouble.AWAY)


def _on_trouble(request: Request, error: Exception) -> JSONResponse:
    """Say whether the warehouse is away or busy, and when to ask again. What does not pass is a fault of ours."""
    trouble = request.app.state.pool.trouble() if isinstance(error, PoolTimeout) else trouble_of(error)
    if trouble is not Trouble.PERMANENT:
        return _trouble_response(trouble)
    if isinstance(error, psycopg.OperationalError):
        return _trouble_response(Trouble.AWAY)
    raise error


def _trouble_response(trouble: Trouble) -> JSONResponse:
    code, retry_after_s, message = TROUBLES[trouble]
    response = problem_response(503, code, message)
    response.headers["Retry-After"] = str(retry_after_s)
    return response


def _on_no_schema(_request: Request, _error: Exception) -> JSONResponse:
    response = problem_response(503, "no_schema", "The database has no Crossbook schema yet; `make up` creates it.")
    response.headers["Retry-After"] = str(TROUBLES[Trouble.AWAY][1])
    return response
