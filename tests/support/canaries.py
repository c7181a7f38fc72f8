"""The search for secrets that were marked: in files, tables, command lines, environments and answers.

A mark is a word that stands in a secret and nowhere else. It is found however it was written down: as it is, in
hexadecimal digits, in base64, or in what is packed.
"""

from __future__ import annotations

import base64
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import psutil
from psycopg import sql

from streams.storage.database import Connection

_CHUNK = 1 << 20


def forms_of(mark: str) -> frozenset[str]:
    """Return the ways a mark may be written, in lower case: the case of base64 is lost, which finds rather too much."""
    raw = mark.encode()
    forms = {mark, raw.hex()}
    for skipped in range(3):
        digits = base64.b64encode(b"\0" * skipped + raw).decode().rstrip("=")
        forms.add(digits[(0, 2, 3)[skipped] : len(digits) - (0 if (len(raw) + skipped) % 3 == 0 else 1)])
    return frozenset(form.lower() for form in forms)


def marks_in(text: str | bytes, marks: Iterable[str]) -> list[str]:
    """Return the marks that stand in a text in any of their forms."""
    shown = (text.decode("latin-1") if isinstance(text, bytes) else text).lower()
    return [mark for mark in marks if any(form in shown for form in forms_of(mark))]


def marks_in_files(folder: Path, marks: Collection[str], is_allowed: Callable[[Path], bool]) -> list[str]:
    """Return `file: mark` for every file below a folder that holds one; names of files are looked at as well.

    Args:
        folder: Links in it are not followed.
        marks: Those that are sought.
        is_allowed: Whether a file, by its path below the folder, may hold secrets.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if is_allowed(below):
            continue
        found += [f"the name of {below}: {mark}" for mark in marks_in(str(below), marks)]
        if path.is_file() and not path.is_symlink():
            found += [f"{below}: {mark}" for mark in _marks_in_file(path, marks)]
    return found


def marks_in_tables(connection: Connection, schemas: Collection[str], marks: Collection[str]) -> list[str]:
    """Return `schema.table: mark` for every table and view of some schemas that holds one, whatever its columns."""
    tables = connection.execute(
        """SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'm') ORDER BY 1, 2""",
        (list(schemas),),
    ).fetchall()
    found = []
    for table in tables:
        for mark in marks:
            patterns = [f"%{form}%" for form in forms_of(mark)]
            query = sql.SQL("SELECT EXISTS (SELECT FROM {} AS t WHERE lower(t::text) LIKE ANY(%s)) AS is_there").format(
                sql.Identifier(table["schema"], table["name"])
            )
            row = connection.execute(query, (patterns,)).fetchone()
            if row is not None and row["is_there"]:
                found.append(f"{table['schema']}.{table['name']}: {mark}")
    return found


def marks_in_processes(
    processes: Iterable[psutil.Process], marks: Mapping[str, str], may_hold: Callable[[list[str], str], bool]
) -> list[str]:
    """Return what processes hold that they should not: in command lines nothing at all, in environments by `may_hold`.

    Args:
        processes: One that has ended meanwhile is left out.
        marks: The variable of each secret, and its mark.
        may_hold: Whether a process of a command line may have a variable.
    """
    found = []
    for process in processes:
        try:
            command, environment = process.cmdline(), process.environ()
        except psutil.Error:
            continue
        shown = " ".join(command)[:120]
        found += [f"command line of {shown}: {mark}" for mark in marks_in("\n".join(command), marks.values())]
        for name, value in environment.items():
            if not may_hold(command, name):
                found += [f"{name} of {shown}: {mark}" for mark in marks_in(value, marks.values())]
    return found


def _marks_in_file(path: Path, marks: Collection[str]) -> list[str]:
    try:
        return _marks_in_parts(_parts_of(path), marks)
    except FileNotFoundError:
        return []


def _marks_in_parts(parts: Iterator[bytes], marks: Collection[str]) -> list[str]:
    found: dict[str, None] = {}
    before = b""
    for part in parts:
        found |= dict.fromkeys(marks_in(before + part, marks))
        before = part[-512:]
    return list(found)


def _parts_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        first = file.read(6)
        file.seek(0)
        is_gzip = first.startswith(b"\x1f\x8b")
        if is_gzip or first.startswith(b"\xfd7zXZ"):
            try:
                with gzip.open(file) if is_gzip else lzma.open(file) as opened:
                    yield from _pieces(opened)
                return
            except (OSError, EOFError, zlib.error, lzma.LZMAError):
                file.seek(0)  # cut, or still being written
        yield from _pieces(file)


def _pieces(file: io.BufferedIOBase | gzip.GzipFile | lzma.LZMAFile) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        yield piece
