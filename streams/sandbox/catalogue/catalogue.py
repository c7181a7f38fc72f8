"""What a sandbox lists and what is true of it, and the JSON lines in which files say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

from streams import documents
from streams.market.errors import ConfigurationError
from streams.sandbox.catalogue.truth import Fact, Truth
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket

UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, ArithmeticError, IndexError)
"""What a line raises that does not fit."""
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "datetime": (datetime,),
    "dict[str, Any]": (dict,),
    "tuple[str, str]": (tuple,),
}


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


def check_kinds(listed: CatalogueEvent | CatalogueMarket | Fact) -> None:
    """Refuse what a line says of a field in another kind of value: the exchange would find out later.

    Raises:
        TypeError: If a value is of another kind.
        ValueError: If a time does not say where in the world it is.
    """
    for part in fields(listed):
        value, kinds = getattr(listed, part.name), _KINDS.get(str(part.type))
        if kinds is not None and type(value) not in kinds:
            raise TypeError(f"{part.name} cannot be {value!r:.60}")
        if isinstance(value, datetime) and value.tzinfo is None:
            raise ValueError(f"{part.name} needs a time zone")
