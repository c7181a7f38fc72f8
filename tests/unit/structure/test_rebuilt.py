"""What the structure keeps: the measures of `make structure`, held against the packages as they are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from tests.structure.circles import Edges, file_circles, imports, room_circles
from tests.structure.crossings import kalshi_order, recorded_delta, second_time
from tests.structure.moves import ROOT, Moves
from tests.structure.sql import clocks_read, known_tables, sql_outside
from tests.structure.tree import FULL_FOLDER, LONG_FILE, PACKAGES, Source, folders, folders_with_rooms, read_sources
from tests.structure.untyped import Untyped, untyped_reads

ROWS_ARE_TYPED_IN = ("streams/storage", "orchestration/execution", "app/queries")


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return read_sources(ROOT)


@pytest.fixture(scope="module")
def edges(sources: list[Source]) -> Edges:
    return imports(sources)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_files_import_each_other_in_a_circle(edges: Edges, package: str) -> None:
    assert file_circles(edges, PurePosixPath(package)) == []


def test_no_rooms_of_any_folder_import_each_other_in_a_circle(sources: list[Source], edges: Edges) -> None:
    assert {
        str(folder): found for folder in folders_with_rooms(sources) if (found := room_circles(edges, folder))
    } == {}


def test_no_folder_is_a_flat_list(sources: list[Source]) -> None:
    full = {folder: count for folder, count in folders(sources).items() if count > FULL_FOLDER}
    full.pop("streams/storage/migrations/versions", None)  # a file for each step, which are read from one folder
    assert full == {}


def test_no_file_is_too_long(sources: list[Source]) -> None:
    assert {str(source.path): source.lines for source in sources if source.lines > LONG_FILE} == {}


def test_sql_on_trading_stands_in_the_store_and_the_migrations_alone(sources: list[Source]) -> None:
    tables = known_tables(ROOT / "streams" / "storage" / "migrations")
    assert {
        path: [f"{found.line}: {found.kind}" for found in several]
        for path, several in sql_outside(sources, tables).items()
    } == {}


def test_no_sql_on_trading_reads_a_clock(sources: list[Source]) -> None:
    assert clocks_read(sources) == []


def test_no_row_crosses_a_signature_without_the_names_and_types_of_its_columns(sources: list[Source]) -> None:
    found = untyped_reads(sources, ROWS_ARE_TYPED_IN)
    assert found == {room: Untyped() for room in ROWS_ARE_TYPED_IN}


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the bounds are of 3.11: later ones inline comprehensions")
@pytest.mark.parametrize(("crossing", "most"), [(kalshi_order, 90), (recorded_delta, 27)])
def test_what_happens_most_often_takes_few_moves(crossing: Callable[[Moves], None], most: int) -> None:
    assert second_time(crossing).moves <= most
