"""People's files, read strictly: a document is whole and can be meant, or it is refused with the place of the mistake.

JSON here is UTF-8 (a mark at the beginning is allowed), nests at most 64 deep, names each key once, and holds no NaN,
no infinity, no number of hundreds of digits and no text that is not valid Unicode or has a zero in it.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import select
import stat
import sys
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

DEPTH_MAX = 64
DOCUMENT_MAX = 32_000_000
LINE_MAX = 4_000_000
_DIGITS_MAX = 100
_WRITER_S = 10.0
_PLAIN = re.compile(r"-?([0-9]+(\.[0-9]+)?|\.[0-9]+)")
# A text that does not end is one token up to the end: nothing in it is looked at twice.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[{}\[\],:]', re.DOTALL)
_WIDE = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


class BadDocument(ValueError):
    """A file or text that cannot be used. The message is one sentence without a full stop of a sentence before it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file of lines: what it holds, or why that cannot be used."""

    number: int
    value: Any = None
    problem: str = ""


@contextmanager
def kept_recursion_limit() -> Iterator[None]:
    """Put Python's limit of recursion back to what it was before the block, in which libraries are imported.

    `py_ecc`, which `eth_account` imports, lifts it for the whole process. Deeply nested JSON then overflows the stack
    and ends the process instead of raising RecursionError.
    """
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def read_text(path: Path, *, most: int = DOCUMENT_MAX, holds: str = "a JSON document") -> str:
    """Return the text of a file; `-` is standard input. `holds` says what is expected in it.

    Raises:
        BadDocument: If it cannot be read, is not UTF-8, is empty, or is larger than `most` bytes.
    """
    name = "Standard input" if str(path) == "-" else str(path)
    return _decoded(_read_whole(path, name, most, holds), name)


def _read_whole(path: Path, name: str, most: int, holds: str) -> bytes:
    try:
        raw = _read_standard_input(most + 1) if str(path) == "-" else _read_file(path, most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadDocument(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(raw) > most:
        raise BadDocument(f"{name} is larger than {most // 1000} KB.")
    if not raw.strip():
        raise BadDocument(f"{name} is empty; it should hold {holds}.")
    return raw


def load_document(path: Path, *, most: int = DOCUMENT_MAX) -> Any:
    """Return the JSON document of a file; `-` is standard input. The message of what is raised names it.

    Raises:
        BadDocument: If it cannot be read or used.
    """
    name = "Standard input" if str(path) == "-" else str(path)
    text = read_text(path, most=most)
    try:
        return parse_document(text)
    except BadDocument as error:
        raise BadDocument(f"{name} is not JSON that can be used: {error}.") from None


def read_text_lines(path: Path, *, holds: str) -> Iterator[Line]:
    """Yield the lines of a text file that are not blank, without blanks around them; a bad one with its problem.

    Raises:
        BadDocument: If the file itself cannot be read, is empty, or is of another encoding as a whole.
    """
    name = "Standard input" if str(path) == "-" else str(path)
    raw = _read_whole(path, name, DOCUMENT_MAX, holds)
    _refuse_wide(raw, name)
    for number, part in enumerate(raw.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            text = part.decode().strip()
        except UnicodeDecodeError as error:
            yield Line(number, problem=f"not UTF-8 in byte {error.start + 1}")
            continue
        if text:
            yield Line(number, text)


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a JSON-lines file, plain or gzip, that are not blank; a bad one with its problem.

    Raises:
        BadDocument: If the file itself cannot be read (on).
    """
    try:
        with _opened(path) as file:
            number = 0
            while raw := file.readline(LINE_MAX + 1):
                number += 1
                if len(raw) > LINE_MAX:
                    yield Line(number, problem=f"longer than {LINE_MAX // 1_000_000} MB")
                    while raw and not raw.endswith(b"\n"):
                        raw = file.readline(LINE_MAX)
                elif raw.strip():
                    yield _line(number, raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw)
    except (OSError, EOFError, zlib.error) as error:
        raise BadDocument(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def parse_document(text: str) -> Any:
    """Return what a JSON text says.

    Raises:
        BadDocument: If it cannot be meant; the message has line and column.
    """
    text = text.removeprefix("\ufeff")
    _check_depth(text)
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_whole, parse_float=_fraction
        )
    except json.JSONDecodeError as error:
        raise BadDocument(f"{error.msg} in line {error.lineno}, column {error.colno}") from None
    except _Twice as error:
        raise BadDocument(f"the key {error.key[:80]!r} stands twice in one object{_place_of_twice(text)}") from None
    except RecursionError:
        raise BadDocument(f"it nests deeper than {DEPTH_MAX} levels") from None
    _check_texts(value, "")
    return value


def plain_decimal(text: str) -> Decimal:
    """Return the number that a person wrote in plain decimal digits, as -12.5.

    Raises:
        ValueError: If it is written in another way: with blanks, `+`, `_`, an exponent, or digits that are not ASCII.
    """
    if len(text) > _DIGITS_MAX or _PLAIN.fullmatch(text) is None:
        raise ValueError("it is not a plain decimal number, as -12.5")
    return Decimal(text)


def plain_whole(text: str) -> int:
    """Return the whole number that a person wrote in plain decimal digits.

    Raises:
        ValueError: As `plain_decimal` does, and if it is not whole.
    """
    value = plain_decimal(text)
    if value != value.to_integral_value():
        raise ValueError("it is not a whole number")
    return int(value)


def check_keys(document: Mapping[str, Any], known: Collection[str], place: str) -> None:
    """Refuse a key that nobody reads: it was meant for something.

    Args:
        document: The object.
        known: The keys that are read.
        place: Where it stands, as `markets[2]`; empty for the whole document.

    Raises:
        BadDocument: If there is another.
    """
    for key in document:
        if key not in known:
            where = f"{place}.{key}" if place else str(key)
            raise BadDocument(f"{where[:120]} is not known; here stand {', '.join(sorted(known))}")


class _Twice(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _line(number: int, raw: bytes) -> Line:
    try:
        text = _decoded(raw, "")
    except BadDocument:
        return Line(number, problem="not UTF-8")
    try:
        return Line(number, parse_document(text))
    except BadDocument as error:
        said = re.sub(r" in line 1, column (\d+)$", r", column \1", str(error))
        return Line(number, problem=f"not JSON ({said})")


def _opened(path: Path) -> Any:
    file = _opened_raw(path)
    return gzip.open(file) if path.suffix == ".gz" else file


def _read_standard_input(most: int) -> bytes:
    if sys.stdin is None:
        return b""
    buffer = getattr(sys.stdin, "buffer", None)
    return bytes(buffer.read(most)) if buffer is not None else sys.stdin.read(most).encode("utf-8", "surrogatepass")


def _read_file(path: Path, most: int) -> bytes:
    with _opened_raw(path) as file:
        return file.read(most)


def _opened_raw(path: Path) -> BinaryIO:
    """Open a file; a pipe that nobody writes to is waited for a moment and no longer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            waiter = select.poll()
            waiter.register(descriptor, select.POLLIN)
            if not waiter.poll(_WRITER_S * 1000):
                raise OSError(110, "nobody writes to this pipe")
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def _refuse_wide(raw: bytes, name: str) -> None:
    for mark, encoding in _WIDE:
        if raw.startswith(mark):
            raise BadDocument(f"{name} is {encoding}; save it as UTF-8.")


def _decoded(raw: bytes, name: str) -> str:
    _refuse_wide(raw, name)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise BadDocument(f"{name} is not UTF-8 in line {line}, byte {column}.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Twice(key)
            seen.add(key)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise BadDocument(f"{name} is not a number that can be meant")


def _whole(text: str) -> int:
    if len(text) > _DIGITS_MAX:
        raise BadDocument(f"the number {text[:20]}... has {len(text)} digits")
    return int(text)


def _fraction(text: str) -> float:
    if len(text) > _DIGITS_MAX:
        raise BadDocument(f"the number {text[:20]}... has {len(text)} digits")
    value = float(text)
    if not math.isfinite(value) or (
        value == 0 and any(digit in text.lower().partition("e")[0] for digit in "123456789")
    ):
        raise BadDocument(f"the number {text[:40]} is out of range")
    return value


def _check_depth(text: str) -> None:
    depth = 0
    for found in _TOKEN.finditer(text):
        sign = found.group()
        if sign in "{[":
            depth += 1
            if depth > DEPTH_MAX:
                raise BadDocument(f"it nests deeper than {DEPTH_MAX} levels{_place(text, found.start())}")
        elif sign in "}]":
            depth -= 1


def _place_of_twice(text: str) -> str:
    """Return the place of the first key that its object has already."""
    keys: list[set[str]] = []
    last, last_at = "", 0
    for found in _TOKEN.finditer(text):
        sign = found.group()
        if sign in "{[":
            keys.append(set())
        elif sign in "}]" and keys:
            keys.pop()
        elif sign == ":" and keys:
            if last in keys[-1]:
                return _place(text, last_at)
            keys[-1].add(last)
        elif sign.startswith('"'):
            last, last_at = json.loads(sign, strict=False), found.start()
    return ""


def _place(text: str, at: int) -> str:
    return f" in line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"


def _check_texts(value: Any, path: str) -> None:
    """Refuse texts that no table, hash or page could take, by their JSON path."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
            raise BadDocument(f"the text at {path or 'the top'} is not valid Unicode (half of a pair)")
        if "\x00" in value:
            raise BadDocument(f"the text at {path or 'the top'} holds a zero character")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_texts(key, f"{path}.{key[:40]!r}")
            _check_texts(item, f"{path}.{key[:40]}".lstrip("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_texts(item, f"{path}[{number}]")
