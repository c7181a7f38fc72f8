"""What a sandbox lists and what is true of it, and the JSON lines in which files say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from streams import documents
from streams.market.errors import ConfigurationError
from streams.sandbox.catalogue.truth import Truth
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a sandbox lists and what is true of it.

    Attributes:
        events / markets: In the order in which they are listed.
        truth: Every market has a condition; markets of no known fact have one of their own.
        anchor: The day all dates are relative to; a resumed sandbox passes it back as `now`.
        source: Where it came from, in words, with what was changed on the way.
    """

    events: tuple[CatalogueEvent, ...]
    markets: tuple[CatalogueMarket, ...]
    truth: Truth
    anchor: date
    source: str = ""
    notes: tuple[str, ...] = field(default=())


def read_lines(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a JSON-lines file, plain or gzip.

    Raises:
        ConfigurationError: If the file cannot be read or a line is not a JSON object.
    """
    try:
        for line in documents.read_lines(path):
            if line.problem:
                raise ConfigurationError(f"{path.name} line {line.number}: {line.problem}")
            if not isinstance(line.value, dict):
                raise ConfigurationError(f"{path.name} line {line.number}: not a JSON object")
            yield line.number, line.value
    except documents.BadDocument as error:
        raise ConfigurationError(f"The catalogue {error}") from None
