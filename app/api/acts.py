"""Which act each route is: written beside the route, read before anything of a request's body is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, params
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.routing import compile_path

from app.doors.roles import Act, lowest_role

TOKEN_SCHEME = "token"  # noqa: S105 - the name of a scheme in the OpenAPI document
_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name=TOKEN_SCHEME,
    description="A token of a person (`crossbook tokens`), or the text of the file api_token of CROSSBOOK_HOME.",
)


def permit(act: Act) -> params.Security:
    """Name the act of a route, or of all routes of a router. Who may do it is decided before the route is reached."""
    return params.Security(_BEARER, scopes=[act.value])


def act_of_route(route: APIRoute) -> Act:
    """Return the act that a route names.

    Raises:
        TypeError: If it names none, or more than one.
    """
    named = {
        scope
        for dependency in route.dependencies
        if isinstance(dependency, params.Security) and dependency.dependency is _BEARER
        for scope in dependency.scopes or ()
    }
    if len(named) != 1:
        raise TypeError(f"{route.path} must name one act, not {sorted(named) or 'none'}.")
    return Act(named.pop())


@dataclass(frozen=True, slots=True)
class _Known:
    methods: frozenset[str]
    pattern: re.Pattern[str]
    act: Act


class ActTable:
    """The acts of all routes.

    Args:
        routers: Whose routes these are; each names its act.
        prefix: Of their paths.
    """

    def __init__(self, routers: Iterable[APIRouter], prefix: str) -> None:
        self._known: Sequence[_Known] = [
            _Known(frozenset(route.methods or ()), compile_path(prefix + route.path)[0], act_of_route(route))
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute)
        ]

    def act_of(self, method: str, path: str) -> Act | None:
        """Return the act of a request; None where there is no such route."""
        for known in self._known:
            if method in known.methods and known.pattern.match(path):
                return known.act
        return None


def describe_security(document: dict[str, Any], *, open_reads: bool) -> None:
    """Say in an OpenAPI document how a caller proves who they are, and what each route asks of them."""
    schemes = document["components"]["securitySchemes"]
    schemes[TOKEN_SCHEME]["x-scopes"] = {act.value: f"For {lowest_role(act)}s and above." for act in Act}
    schemes["session"] = {
        "type": "apiKey",
        "in": "cookie",
        "name": "crossbook_session",
        "description": "A person who is signed in, as far as their role goes.",
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            (scopes,) = (entry[TOKEN_SCHEME] for entry in operation["security"])
            operation["security"] = [{TOKEN_SCHEME: scopes}, {"session": scopes}]
            if open_reads and scopes == [Act.VIEW.value]:
                operation["security"].append({})
