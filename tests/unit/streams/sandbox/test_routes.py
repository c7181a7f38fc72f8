"""A venue's routes: they become a router at the start, where what could never be reached is refused."""

from __future__ import annotations

import pytest

from streams.sandbox.http.routes import Access, Handler, Route, router_of
from streams.sandbox.http.server import Request, Response

_REQUEST = Request("GET", "/", [], {})


class _Venue:
    name = "venue"


def _status(venue: _Venue, request: Request) -> Response:
    return Response(200, venue.name)


def _order(venue: _Venue, request: Request, key: str, order_id: str) -> Response:
    return Response(200, [venue.name, key, order_id])


def _bind(route: Route[_Venue]) -> Handler:
    key = ("a key",) if route.access is Access.SIGNED else ()
    return lambda request, **parts: route.handler(_Venue(), request, *key, **parts)


def test_a_route_is_found_by_method_and_path_with_the_parts_of_the_path() -> None:
    routes = [Route("GET", "/status", _status), Route("DELETE", "/orders/{order_id}", _order, Access.SIGNED)]
    router = router_of(routes, _bind, "/v2")
    exact, pattern = router.find("GET", "/v2/status"), router.find("DELETE", "/v2/orders/a%2Fb")
    assert exact is not None
    assert exact[0](_REQUEST, **exact[1]).body == "venue"
    assert pattern is not None
    assert pattern[0](_REQUEST, **pattern[1]).body == ["venue", "a key", "a/b"]
    for method, path in (("POST", "/v2/status"), ("GET", "/status"), ("DELETE", "/v2/orders/"), ("GET", "/v2")):
        assert router.find(method, path) is None, (method, path)


def test_two_routes_of_one_method_and_path_are_refused() -> None:
    with pytest.raises(ValueError, match="GET /status has two routes"):
        router_of([Route("GET", "/status", _status)] * 2, _bind)


@pytest.mark.parametrize(
    "route",
    [
        Route("DELETE", "/orders/{order}", _order, Access.SIGNED),
        Route("DELETE", "/orders/{order_id}", _order),
        Route("GET", "/status/{name}", _status),
        Route("GET", "/status", _status, Access.SIGNED),
        Route("GET", "/status", _status, Access.WALLET),
    ],
)
def test_a_handler_that_does_not_take_the_parts_of_its_path_is_refused(route: Route[_Venue]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        router_of([route], _bind)
