"""The names and lines that settings come from: a `.env` file read to its last sign, and names that are nearly right.

A line that cannot be parsed, a name set twice and a name that differs from a setting's by one or two letters are each a
setting that somebody believes to be in force and that is not. They stop the start. Values are taken as they stand
there, without the quotes around them: nothing in them is expanded.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream
from rapidfuzz.distance import OSA

from streams.inert import one_line
from streams.market.errors import ConfigurationError

ENCODING = "utf-8-sig"
"""UTF-8, with or without the mark that some editors put at the beginning."""
_PREFIX = "CROSSBOOK_"
_MISTYPED = 2
_SIZE_MAX = 1_000_000


def names_in_file(path: Path) -> dict[str, int]:
    """Return the names that a `.env` file sets, in capitals, with their lines; nothing where there is no file.

    Raises:
        ConfigurationError: If it cannot be read, a line cannot be parsed, or a name is set twice; never with a value.
    """
    return {name: line for name, (line, _) in _bindings(path).items()}


def values_in_file(path: Path) -> dict[str, str]:
    """Return the values that a `.env` file sets, by name in capitals; nothing where there is no file.

    Raises:
        ConfigurationError: As `names_in_file` does.
    """
    return {name: value for name, (_, value) in _bindings(path).items()}


def _bindings(path: Path) -> dict[str, tuple[int, str]]:
    """Return line and value of each name in a file."""
    found: dict[str, tuple[int, str]] = {}
    for binding in parse_stream(io.StringIO(_read(path))):
        line = _line_of(binding)
        if binding.error or (binding.key is not None and binding.value is None):
            raise ConfigurationError(f"Line {line} of {path} cannot be read; write NAME=value, one a line.")
        if binding.key is None or binding.value is None:
            continue
        name = binding.key.upper()
        if name in found:
            first, _ = found[name]
            raise ConfigurationError(f"{one_line(name, 80)} is set twice in {path}, in lines {first} and {line}.")
        found[name] = (line, binding.value)
    return found


def check_names(known: Collection[str], environment: Iterable[str], in_file: Mapping[str, int], path: Path) -> None:
    """Refuse names that are no settings but were meant as one.

    Args:
        known: The names of all settings.
        environment: The names in the environment.
        in_file: What `names_in_file` returned.
        path: The file, for the message.

    Raises:
        ConfigurationError: For a name with `CROSSBOOK_` in it, or within two letters of a setting's.
    """
    seen: dict[str, str] = {}
    for name in environment:
        _check_name(known, name.upper(), one_line(name, 80), "")
        if name.upper() in known and seen.setdefault(name.upper(), name) != name:
            raise ConfigurationError(
                f"{name.upper()} is set twice in the environment, as {name} and {seen[name.upper()]}."
            )
    for name, line in in_file.items():
        _check_name(known, name, one_line(name, 80), f" (line {line} of {path})")


def _check_name(known: Collection[str], name: str, shown: str, where: str) -> None:
    if name in known:
        return
    meant = nearest(known, name)
    if meant is not None:
        raise ConfigurationError(f"{shown} is not a setting{where}; did you mean {meant}?")
    if _PREFIX in name:
        raise ConfigurationError(
            f"{shown} is not a setting{where}; see docs/reference/settings.md for the ones there are."
        )


def nearest(known: Collection[str], name: str) -> str | None:
    """Return the setting whose name is at most two letters away (one more, less, another, or two swapped), or None."""
    if any(abs(len(name) - len(setting)) <= _MISTYPED for setting in known):
        distances = {setting: OSA.distance(name, setting, score_cutoff=_MISTYPED) for setting in known}
        best = min(distances, key=lambda setting: (distances[setting], setting))
        if distances[best] <= _MISTYPED:
            return best
    return None


def _read(path: Path) -> str:
    try:
        if not path.exists():
            return ""
        if not path.is_file():
            raise ConfigurationError(f"{path} is not a file; settings are read from it, one NAME=value a line.")
        if path.stat().st_size > _SIZE_MAX:
            raise ConfigurationError(f"{path} is larger than {_SIZE_MAX // 1000} KB; it holds one NAME=value a line.")
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        text = raw.decode(ENCODING)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"Line {line} of {path} is not UTF-8; save the file as UTF-8.") from None
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise ConfigurationError(f"Line {line} of {path} holds a zero byte; save the file as plain UTF-8.")
    return text


def _line_of(binding: Binding) -> int:
    """Return the line a binding stands in: blank lines before it belong to its text."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return int(binding.original.line) + blank.count("\n")
