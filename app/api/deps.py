"""What routes depend on: a connection, the requested page, and the permission to write."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.api.errors import ApiProblem
from app.queries.rows import PAGE_LIMIT_MAX
from streams.settings import Settings
from streams.storage.database import Connection

_BEARER = HTTPBearer(auto_error=False, description="The text in the file api_token of CROSSBOOK_HOME.")


@dataclass(frozen=True, slots=True)
class Paging:
    """The page that a caller requests."""

    limit: int
    cursor: str | None


def get_connection(request: Request) -> Iterator[Connection]:
    """Lend a connection of the pool for one request."""
    with request.app.state.pool().connection() as connection:
        yield connection


def get_settings(request: Request) -> Settings:
    """Return the settings of the application."""
    settings: Settings = request.app.state.settings
    return settings


def get_paging(
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT_MAX, description="Most items of one page.")] = 100,
    cursor: Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the page before.")] = None,
) -> Paging:
    """Read the requested page from the query."""
    return Paging(limit, cursor or None)


def require_token(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
) -> None:
    """Refuse a write without the token."""
    given = "" if credentials is None else credentials.credentials
    if not hmac.compare_digest(given.encode(), request.app.state.token.encode()):
        raise ApiProblem(
            401, "unauthorised", "Send the text of CROSSBOOK_HOME/api_token as `Authorization: Bearer ...`."
        )


Warehouse = Annotated[Connection, Depends(get_connection)]
CurrentSettings = Annotated[Settings, Depends(get_settings)]
WantedPage = Annotated[Paging, Depends(get_paging)]
MayWrite = Depends(require_token)
