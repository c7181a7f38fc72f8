"""The kinds of values in a strict document: each reads a value or refuses it with its place, and describes itself.

A kind is the one description of a value. The reader, the sentence of a refusal, the published page and the published
JSON Schema are all made from it, so that none of them can say something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn, Protocol

from orchestration.opportunities.outcomes import InvalidSet
from streams.market.errors import InvalidAmount
from streams.market.units import scaled_int

Place = tuple[str | int, ...]
"""Where a value stands: keys and numbers from the document down."""

_SHOWN = 40
_DIGITS_MAX = 40
_PLAIN_KEY = re.compile(r"[\w:-]{1,80}", re.ASCII)


def written(place: Place) -> str:
    """Return a place as a sentence names it: `markets[0].yes_asks`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{_name(step)}" for step in place]
    return "".join(steps).removeprefix(".") or "The document"


def _name(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) else ascii(key)[:80]


class Kind(Protocol):
    """What a value may be."""

    @property
    def words(self) -> str:
        """What it may be, to follow "must be"."""

    def read(self, raw: Any, place: Place) -> Any:
        """Return the value that a JSON value means, or raise InvalidSet with its place."""

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal number, read as an exact integer of `1/10**digits`.

    Attributes:
        unit: What is counted, in the plural.
        digits: The most decimals.
        least: The smallest value, a whole number.
        most: The largest value, a whole number.
        is_open: Whether both ends themselves are refused.
        is_above: Whether the smallest value itself is refused.
        takes_floats: Whether a JSON number with a point is read by its shortest text, as venues write rates.
    """

    unit: str
    digits: int
    least: str
    most: str
    is_open: bool = False
    is_above: bool = False
    takes_floats: bool = False
    scale: int = field(init=False, repr=False)
    low: int = field(init=False, repr=False)
    high: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Compute the bounds in units once: books hold thousands of numbers."""
        scale = int(10**self.digits)
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "low", int(self.least) * scale + (self.is_open or self.is_above))
        object.__setattr__(self, "high", int(self.most) * scale - self.is_open)

    @property
    def words(self) -> str:
        """What it may be."""
        kind = f"a decimal number of {self.unit}" if self.digits else f"a whole number of {self.unit}"
        if self.is_open:
            bounds = f"strictly between {self.least} and {self.most}"
        elif self.is_above:
            bounds = f"above {self.least} and at most {self.most}"
        else:
            bounds = f"from {self.least} to {self.most}"
        return f"{kind} {bounds}" + (f" with at most {self.digits} decimals" if self.digits else "")

    def read(self, raw: Any, place: Place) -> int:
        """Return the number in units."""
        units = self._units(raw, place)
        if not self.low <= units <= self.high:
            _refuse(self, raw, place)
        return units

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema; what a text's number lies between is told in words alone."""
        part = f"\\.[0-9]{{1,{self.digits}}}0*" if self.digits else "\\.0+"
        pattern = f"^([0-9]+({part})?|{part})$"
        low = "exclusiveMinimum" if self.is_open or self.is_above else "minimum"
        high = "exclusiveMaximum" if self.is_open else "maximum"
        written = {"type": "string", "pattern": pattern, "maxLength": _DIGITS_MAX}
        counted = {
            "type": "number" if self.takes_floats else "integer",
            low: int(self.least),
            high: int(self.most),
        }
        return {"description": self.words, "anyOf": [written, counted]}

    def _units(self, raw: Any, place: Place) -> int:
        if type(raw) is str:
            whole, point, part = raw.partition(".")
            is_plain = (whole.isdigit() or not whole) and (part.isdigit() if point else whole)
            part = part.rstrip("0")
            if not (is_plain and raw.isascii() and len(raw) <= _DIGITS_MAX and len(part) <= self.digits):
                _refuse(self, raw, place)
            return int(whole or 0) * self.scale + int(part.ljust(self.digits, "0") or 0)
        if type(raw) is float and self.takes_floats:
            raw = Decimal(repr(raw))
        elif type(raw) is not int:
            _refuse(self, raw, place)
        try:
            return scaled_int(raw, self.scale, self.unit)
        except InvalidAmount:
            _refuse(self, raw, place)


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not empty."""

    most: int = 200

    @property
    def words(self) -> str:
        """What it may be."""
        return f"a text of 1 to {self.most} characters"

    def read(self, raw: Any, place: Place) -> str:
        """Return the text."""
        if not isinstance(raw, str) or not 0 < len(raw) <= self.most:
            _refuse(self, raw, place)
        return raw

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "string", "minLength": 1, "maxLength": self.most}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    @property
    def words(self) -> str:
        """What it may be."""
        return "true or false"

    def read(self, raw: Any, place: Place) -> bool:
        """Return the flag."""
        if not isinstance(raw, bool):
            _refuse(self, raw, place)
        return raw

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    of: tuple[str, ...]

    @property
    def words(self) -> str:
        """What it may be."""
        return f"{', '.join(self.of[:-1])} or {self.of[-1]}"

    def read(self, raw: Any, place: Place) -> str:
        """Return the word."""
        if not isinstance(raw, str) or raw not in self.of:
            _refuse(self, raw, place)
        return raw

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"enum": list(self.of)}


@dataclass(frozen=True, slots=True)
class Time:
    """An instant; one without a zone is UTC."""

    @property
    def words(self) -> str:
        """What it may be."""
        return "an ISO 8601 time, as 2026-11-30T00:00:00Z"

    def read(self, raw: Any, place: Place) -> datetime:
        """Return the instant in UTC."""
        try:
            value = datetime.fromisoformat(raw if isinstance(raw, str) else "")
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            _refuse(self, raw, place)

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "string", "minLength": 8, "description": self.words}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A JSON array of values of one kind; `empty`: the sentence for one without entries where there must be some."""

    item: Kind
    most: int
    least: int = 0
    empty: str = ""

    @property
    def words(self) -> str:
        """What it may be."""
        return f"an array of {self.least} to {self.most} entries, each {self.item.words}"

    def read(self, raw: Any, place: Place) -> list[Any]:
        """Return the values."""
        if not isinstance(raw, list):
            raise InvalidSet(f"{written(place)} must be a JSON array, not {_shown(raw)}.")
        if not raw and self.empty:
            raise InvalidSet(self.empty)
        if not self.least <= len(raw) <= self.most:
            raise InvalidSet(f"{written(place)} has {len(raw)} entries; it may have {self.least} to {self.most}.")
        read = self.item.read
        return [read(item, (*place, number)) for number, item in enumerate(raw)]

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "array", "minItems": self.least, "maxItems": self.most, "items": self.item.schema()}


@dataclass(frozen=True, slots=True)
class Row:
    """A JSON array with a fixed number of values."""

    items: tuple[tuple[str, Kind], ...]

    @property
    def words(self) -> str:
        """What it may be."""
        return f"[{', '.join(name for name, _ in self.items)}]"

    def read(self, raw: Any, place: Place) -> tuple[Any, ...]:
        """Return the values."""
        if not isinstance(raw, list) or len(raw) != len(self.items):
            _refuse(self, raw, place)
        return tuple(
            kind.read(item, (*place, number))
            for number, (item, (_, kind)) in enumerate(zip(raw, self.items, strict=True))
        )

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        count = len(self.items)
        values = [{"title": name, **kind.schema()} for name, kind in self.items]
        return {"type": "array", "prefixItems": values, "minItems": count, "maxItems": count}


@dataclass(frozen=True, slots=True)
class MapOf:
    """A JSON object from texts to values of one kind; `names`: the only keys there may be, None for any."""

    value: Kind
    most: int
    names: tuple[str, ...] | None = None

    @property
    def words(self) -> str:
        """What it may be."""
        keys = "ids" if self.names is None else " or ".join(self.names)
        return f"an object from {keys} to {self.value.words}"

    def read(self, raw: Any, place: Place) -> dict[str, Any]:
        """Return the values by their keys."""
        if not isinstance(raw, Mapping):
            raise InvalidSet(f"{written(place)} must be a JSON object, not {_shown(raw)}.")
        if len(raw) > self.most:
            raise InvalidSet(f"{written(place)} has {len(raw)} entries; it may have at most {self.most}.")
        for name in raw:
            if self.names is not None and name not in self.names:
                raise InvalidSet(f"{written((*place, name))} is not known; here stand {', '.join(self.names)}.")
        return {str(name): self.value.read(item, (*place, name)) for name, item in raw.items()}

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        found = {"type": "object", "maxProperties": self.most}
        if self.names is None:
            return {**found, "additionalProperties": self.value.schema()}
        return {
            **found,
            "additionalProperties": False,
            "properties": {name: self.value.schema() for name in self.names},
        }


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an object.

    Attributes:
        name: The key.
        kind: What stands there.
        meaning: What it says, for people.
        default: What holds where it is absent, as it would be written; None when nothing does.
        is_required: Whether it must be there.
        spellings: Other names of it, as venues write it.
    """

    name: str
    kind: Kind
    meaning: str
    default: Any = None
    is_required: bool = False
    spellings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object with known keys; null stands for an absent one."""

    title: str
    fields: tuple[Field, ...]

    @property
    def words(self) -> str:
        """What it may be."""
        return f"an object: {self.title}"

    def read(self, raw: Any, place: Place) -> dict[str, Any]:
        """Return the values by their names, absent ones as their default, None where there is none."""
        if not isinstance(raw, Mapping):
            raise InvalidSet(f"{written(place)} must be a JSON object, not {_shown(raw)}.")
        self._check_keys(raw, place)
        return {field.name: _read_field(field, raw, place) for field in self.fields}

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        properties = {
            name: {"description": field.meaning, "anyOf": [field.kind.schema(), *_absent(field)]}
            for field in self.fields
            for name in (field.name, *field.spellings)
        }
        required = [field for field in self.fields if field.is_required]
        found = {"title": self.title, "type": "object", "additionalProperties": False, "properties": properties}
        plain = [field.name for field in required if not field.spellings]
        spelled = [
            {
                "oneOf": [
                    {"required": [name], "properties": {name: {"not": {"type": "null"}}}}
                    for name in (field.name, *field.spellings)
                ]
            }
            for field in required
            if field.spellings
        ]
        return found | ({"required": plain} if plain else {}) | ({"allOf": spelled} if spelled else {})

    def _check_keys(self, raw: Mapping[str, Any], place: Place) -> None:
        known = {name for field in self.fields for name in (field.name, *field.spellings)}
        for key in raw:
            if key not in known:
                raise InvalidSet(f"{written((*place, key))} is not known; here stand {', '.join(sorted(known))}.")


def _read_field(field: Field, raw: Mapping[str, Any], place: Place) -> Any:
    found = [name for name in (field.name, *field.spellings) if raw.get(name) is not None]
    if len(found) > 1:
        raise InvalidSet(f"{written((*place, found[0]))} and {found[1]} say the same thing; keep one of them.")
    if found:
        return field.kind.read(raw[found[0]], (*place, found[0]))
    if field.is_required:
        raise InvalidSet(f"{written((*place, field.name))} is missing; it must be {field.kind.words}.")
    return None if field.default is None else field.kind.read(field.default, (*place, field.name))


def _absent(field: Field) -> list[dict[str, Any]]:
    return [] if field.is_required and not field.spellings else [{"type": "null"}]


def _refuse(kind: Kind, raw: Any, place: Place) -> NoReturn:
    raise InvalidSet(f"{written(place)} must be {kind.words}, not {_shown(raw)}.")


def _shown(raw: Any) -> str:
    if isinstance(raw, Mapping | list):
        return "an object" if isinstance(raw, Mapping) else "an array"
    return repr(raw)[:_SHOWN] if isinstance(raw, str) else str(raw)[:_SHOWN]
