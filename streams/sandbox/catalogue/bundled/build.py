"""Write the bundled catalogue: `python -m streams.sandbox.catalogue.bundled.build`."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable

from streams.sandbox.catalogue.bundled import crypto, culture, economics, politics, sports, weather, world
from streams.sandbox.catalogue.bundled.draft import Draft, Line
from streams.sandbox.catalogue.load import BUNDLED

FAMILIES: tuple[Callable[[Draft], None], ...] = (
    economics.draft,
    crypto.draft,
    weather.draft,
    politics.draft,
    world.draft,
    sports.draft,
    culture.draft,
)


def build_lines() -> list[Line]:
    """Return all lines, facts first, then events, markets and near misses, each in the order drafted."""
    book = Draft()
    for family in FAMILIES:
        family(book)
    order = ("fact", "event", "market", "near_miss")
    return sorted(book.lines, key=lambda line: order.index(line["type"]))


def encode(lines: list[Line]) -> bytes:
    """Return the lines as gzip, byte for byte the same for the same lines."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as stream:
        for line in lines:
            stream.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return target.getvalue()


if __name__ == "__main__":
    BUNDLED.write_bytes(encode(build_lines()))
