"""Bodies and queries of requests, read as strictly as people's files: what cannot be meant is refused by its place."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from typing import Any, get_args, get_origin

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from app.api.acts import act_of_route
from app.api.errors import ApiProblem
from streams.documents import BadDocument, parse_document, plain_decimal
from streams.inert import one_line

_NAMES_MAX = 100
"""Of one body: each that is not known is named in the answer."""
_NUMBERS = {int, float, Decimal}


class _StrictRequest(Request):
    """A request whose JSON body names each key once, and holds only what can be meant."""

    async def json(self) -> Any:
        try:
            document = parse_document((await self.body()).decode("utf-8"))
        except UnicodeDecodeError as error:
            raise HTTPException(422, f"The body is not UTF-8 at byte {error.start}.") from None
        except BadDocument as error:
            raise HTTPException(422, f"The body is not JSON that can be used: {error}.") from None
        if isinstance(document, dict) and len(document) > _NAMES_MAX:
            raise HTTPException(422, f"The body has more than {_NAMES_MAX} names.")
        return document


class StrictRoute(APIRoute):
    """A route that names its act, reads its body strictly, and whose query names its parameters and nothing else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, given a strict request.

        Raises:
            TypeError: If the route names no act.
        """
        act_of_route(self)
        handle = super().get_route_handler()
        known, lists = _query_names(self.dependant), _list_names(self.dependant)
        numbers = _number_names(self.dependant)

        async def handle_strictly(request: Request) -> Response:
            _check_query(request, known, lists)
            _check_numbers({**request.path_params, **request.query_params}, numbers)
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


def _query_names(dependant: Dependant) -> frozenset[str]:
    """Return the names that a route and what it depends on read from the query."""
    own = frozenset(field.alias for field in dependant.query_params)
    return own.union(*(_query_names(inner) for inner in dependant.dependencies))


def _list_names(dependant: Dependant) -> frozenset[str]:
    """Return those that may be given more than once."""
    fields = dependant.query_params
    own = {
        field.alias for field in fields if any(get_origin(kind) is list for kind in _kinds(field.field_info.annotation))
    }
    return frozenset(own).union(*(_list_names(inner) for inner in dependant.dependencies))


def _number_names(dependant: Dependant) -> frozenset[str]:
    """Return the names of the numbers that a route and what it depends on read from the address."""
    fields = (*dependant.query_params, *dependant.path_params)
    own = {field.alias for field in fields if not _NUMBERS.isdisjoint(_kinds(field.field_info.annotation))}
    return frozenset(own).union(*(_number_names(inner) for inner in dependant.dependencies))


def _kinds(annotation: object) -> set[object]:
    return {annotation, *get_args(annotation)}


def _check_numbers(given: Mapping[str, object], numbers: frozenset[str]) -> None:
    for name in numbers & given.keys():
        try:
            plain_decimal(str(given[name]))
        except ValueError as error:
            raise ApiProblem(422, "invalid_request", f"{name} cannot be used: {error}.", name) from None


def _check_query(request: Request, known: frozenset[str], lists: frozenset[str]) -> None:
    """Refuse a parameter that nobody reads, and one that is given twice: each was meant for something."""
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            there = f"there are {', '.join(sorted(known))}" if known else "there is none"
            shown = one_line(name, 80)
            message = f"The query has {shown!r}, which is no parameter here; {there}."
            raise ApiProblem(422, "invalid_request", message, shown)
        if name in seen and name not in lists:
            raise ApiProblem(422, "invalid_request", f"The query has {name} twice.", name)
        seen.add(name)
