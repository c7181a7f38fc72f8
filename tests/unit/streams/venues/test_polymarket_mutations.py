"""Whatever stands in an answer, a call gives a typed result or an error of the tree; nothing else ever escapes."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams.market.errors import StreamsError
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.common.responses import read
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.errors import classify
from streams.venues.polymarket.limits import PolymarketLimits
from tests.support.polymarket_samples import READERS, ROWS, SCALARS, WALLET, reader_of

ANSWERS = json.loads((Path(__file__).parents[3] / "fixtures/polymarket/answers.json").read_text())
ODD = [
    None, True, False, 0, -1, 3.5, 1e308, -1e-300, 10**30, 1790934258000000, "", "x", "NaN", "Infinity", "1e5", "-5",
    "0x", "9" * 400, "1790934258000000000000", "é", [], {}, [1], [[]], {"a": 1},
]  # fmt: skip
MUTATIONS = 60
"""For each kind of answer."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def mutated(body: Any, chance: random.Random) -> Any:
    """A copy with up to three values replaced by odd ones or left out."""
    body = copy.deepcopy(body)
    for _ in range(chance.randint(1, 3)):
        path = chance.choice(list(places(body)))
        odd = copy.deepcopy(chance.choice(ODD))
        if not path:
            body = odd if chance.random() < 0.1 else body
            continue
        part = body
        for key in path[:-1]:
            part = part[key]
        if isinstance(part, dict) and chance.random() < 0.25:
            del part[path[-1]]
        else:
            part[path[-1]] = odd
    return body


def named(table: dict[str, Any], name: str) -> Any:
    return table[max((start for start in table if name.startswith(start)), key=len)]


CALLS = {name: named(SCALARS, name) for name in ANSWERS["clob_scalars.json"]} | {
    file: named(READERS, file)[1]
    for file in ANSWERS
    if not file.startswith(("clob_scalars", "clob_errors", "clob_heartbeat", "data_v2_error"))
    and reader_of(file) in READERS
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_an_odd_answer_is_a_result_or_an_error_of_the_tree(name: str) -> None:
    chance = random.Random(name)
    plain = ANSWERS["clob_scalars.json"].get(name, ANSWERS.get(name))
    bodies = [mutated(plain, chance) for _ in range(MUTATIONS)]
    answers = iter(bodies)

    async def main() -> int:
        failed = 0
        respond = lambda _: httpx.Response(200, json=next(answers, {}))  # noqa: E731
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
            # Every look at this clock is a thousand seconds later, so that no budget makes the test wait.
            ticks = itertools.count(0, 1_000)
            limits = PolymarketLimits(monotonic=lambda: float(next(ticks)))
            client = PolymarketClient(endpoints(Settings(_env_file=None)), WALLET, http=http, limits=limits)
            for _ in bodies:
                try:
                    await CALLS[name](client)
                except StreamsError:
                    failed += 1
        return failed

    assert asyncio.run(main()) <= MUTATIONS


@pytest.mark.parametrize("stem", sorted(ROWS))
def test_odd_rows_are_read_or_malformed(stem: str) -> None:
    chance = random.Random(stem)
    for _ in range(MUTATIONS):
        try:
            read(mutated(ANSWERS[f"{stem}.json"], chance), ROWS[stem][1])
        except StreamsError:
            continue


def test_every_status_and_odd_body_is_an_error_of_the_tree() -> None:
    chance = random.Random(7)
    for status in (400, 401, 403, 404, 418, 422, 425, 429, 500, 502, 503, 599):
        for entry in ANSWERS["clob_errors.json"]:
            body = json.dumps(mutated(entry["body"], chance)).encode()
            headers = {"Retry-After": str(chance.choice(ODD)), "Poly-RateLimit-Reset": str(chance.choice(ODD))}
            for is_write in (True, False):
                assert isinstance(classify(status, body, headers, is_write, now_s=1.0), StreamsError)
