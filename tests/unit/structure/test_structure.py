"""The measures of `make structure`, on small trees made for them: nothing that ties files together is overlooked."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from tests.structure.circles import file_circles, imports, room_circles
from tests.structure.crossings import kalshi_order, recorded_delta, second_time
from tests.structure.moves import Moves
from tests.structure.sql import clocks_read, known_tables, sql_outside
from tests.structure.tree import Source, folders, folders_with_rooms, read_sources, rooms
from tests.structure.untyped import untyped_reads

Grow = Callable[..., list[Source]]


@pytest.fixture
def grow(tmp_path: Path) -> Grow:
    """`grow({"streams/a.py": "text"})`: the sources of a tree with these files."""

    def grown(files: dict[str, str]) -> list[Source]:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return read_sources(tmp_path, ["streams"])

    return grown


def kinds(text: str, tables: frozenset[str] = frozenset({"orders"})) -> list[str]:
    source = Source(PurePosixPath("streams/x.py"), 1, ast.parse(text))
    return [found.kind for several in sql_outside([source], tables).values() for found in several]


def test_a_package_that_is_not_there_is_an_error_and_not_a_zero(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="streams"):
        read_sources(tmp_path)


def test_files_and_lines_are_counted_per_room_and_per_folder(grow: Grow) -> None:
    sources = grow({"streams/a.py": "1\n2\n", "streams/room/b.py": "1\n", "streams/room/deep/c.py": "1\n2\n3\n"})
    assert rooms(sources, PurePosixPath("streams")) == {".": (1, 2), "room": (2, 4)}
    assert folders(sources) == {"streams": 1, "streams/room": 1, "streams/room/deep": 1}
    assert [str(folder) for folder in folders_with_rooms(sources)] == ["streams", "streams/room"]


@pytest.mark.parametrize(
    "back",
    [
        "from streams.one.a import x\n",
        "def f():\n    from streams.one.a import x\n",
        "def f():\n    import streams.one.a\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from streams.one import a\n",
        "from ..one import a\n",
        "import importlib\ndef f():\n    importlib.import_module('streams.one.a')\n",
    ],
)
def test_a_circle_is_found_however_its_imports_hide(grow: Grow, back: str) -> None:
    edges = imports(grow({"streams/one/a.py": "from streams.two.b import y\n", "streams/two/b.py": back}))
    assert file_circles(edges, PurePosixPath("streams")) == [["streams/one/a.py", "streams/two/b.py"]]
    assert room_circles(edges, PurePosixPath("streams")) == [["one", "two"]]


def test_rooms_can_make_a_circle_that_their_files_do_not_make(grow: Grow) -> None:
    sources = grow(
        {
            "streams/one/a.py": "from streams.two import b\n",
            "streams/one/c.py": "",
            "streams/two/b.py": "",
            "streams/two/d.py": "from streams.one.c import x\n",
            "streams/loose.py": "from streams.one import a\n",
        }
    )
    edges = imports(sources)
    assert file_circles(edges, PurePosixPath("streams")) == []
    assert room_circles(edges, PurePosixPath("streams")) == [["one", "two"]]


def test_an_import_of_a_package_leads_to_its_init_and_only_of_a_name_in_it(grow: Grow) -> None:
    edges = imports(
        grow(
            {"streams/one/__init__.py": "", "streams/one/a.py": "", "streams/b.py": "from streams.one import a, NAME\n"}
        )
    )
    assert {str(path) for path in edges[PurePosixPath("streams/b.py")]} == {
        "streams/one/__init__.py",
        "streams/one/a.py",
    }


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('q = "SELECT 1 FROM trading.orders"', "statement"),
        ('q = """UPDATE\n    trading.orders SET x = 1"""', "statement"),
        ('q = "select 1 from trading.orders"', "statement"),
        ('q = "SELECT a, trading.orders.b FROM x"', "statement"),
        ('q = f"SELECT {x} FROM trading.orders"', "statement"),
        ('q = "SELECT 1 " + "FROM trading.orders WHERE " + x', "statement"),
        ('q = \'DELETE FROM "trading"."orders"\'', "statement"),
        ('q = f"trading.{x}"', "composed"),
        ('q = f"LOCK trading.{x}"', "composed"),
        ('q = "trading." + x', "composed"),
        ('q = "FROM trading.%s" % x', "composed"),
        ('q = "trading.{}".format(x)', "composed"),
        ('q = ".".join(["trading", x])', "composed"),
        ('q = sql.Identifier("trading", x)', "composed"),
        ('S = "trading"\nq = f"{S}.{x}"', "composed"),
        ('q = ["trading.orders"]', "name"),
    ],
)
def test_sql_on_trading_is_found_however_it_is_written(text: str, kind: str) -> None:
    assert kinds(text) == [kind]


@pytest.mark.parametrize(
    "text",
    [
        '"""Rows of FROM trading.orders."""',
        'def f():\n    """Reads FROM trading.orders."""',
        'log = get_logger("trading.desk")',
        'log = get_logger("orchestration.trading.orders")',
        'key = ["trading", "orders"]',
        'spec = AssetSpec(key=["trading", x], metadata={"table": f"trading.{x}"})',
        'group_name = "trading"',
        'q = "SELECT 1 FROM analytics.trading_days"',
        'q = f"paper_trading.{x}"',
        'from_ = "the desk is trading. Orders follow"',
    ],
)
def test_harmless_words_about_trading_are_not_sql(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ('q = "UPDATE trading.orders SET sent_at = now()"', True),
        ('q = f"""SELECT 1 FROM trading.orders WHERE sent_at < CLOCK_TIMESTAMP() - {x}"""', True),
        ('TODAY = "day = current_date"', True),
        ("q = \"SELECT 'now'::timestamptz - max(sent_at) FROM trading.orders\"", True),
        ('q = "SELECT clock_timestamp() AS now"', False),
        ('"""Written now()."""', False),
        ('q = "UPDATE trading.orders SET sent_at = %(now)s"', False),
    ],
)
def test_a_clock_in_sql_of_the_store_is_found_also_in_a_piece_of_it(grow: Grow, text: str, reads: bool) -> None:
    assert bool(clocks_read(grow({"streams/storage/store/a.py": text}))) is reads


def test_the_store_and_the_migrations_may_hold_sql_and_say_which_tables_there_are(grow: Grow, tmp_path: Path) -> None:
    text = 'q = "CREATE TABLE trading.leases (name text)"'
    sources = grow({f"streams/{name}.py": text for name in ("storage/store/a", "storage/migrations/b", "c")})
    assert list(sql_outside(sources, frozenset())) == ["streams/c.py"]
    assert known_tables(tmp_path) == {"leases"}


def test_rows_without_types_are_counted_in_signatures_and_where_they_are_read(grow: Grow) -> None:
    sources = grow(
        {
            "streams/database.py": "Row = dict[str, Any]\n",
            "streams/room/a.py": """
from collections.abc import Mapping, Sequence
from streams.database import Row as R

def one(row: R) -> int:
    return row["x"] + row["y"]

def two() -> list[tuple[int, dict[str, Any]]]: ...

def three(rows: "Sequence[R]") -> int:
    return sum(row["x"] for row in rows)

def four(params: Mapping[str, Any], other: dict[str, int]) -> int:
    return other["x"]
""",
        }
    )
    found = untyped_reads(sources, ["streams/room"])["streams/room"]
    assert (found.signatures, found.subscripts, found.mappings) == (3, 3, 1)
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        untyped_reads(sources, ["streams/elsewhere"])


def test_a_document_by_its_name_is_no_row_and_one_without_it_is(grow: Grow) -> None:
    sources = grow(
        {
            "streams/market/documents.py": "JsonDocument: TypeAlias = dict[str, Any]\n",
            "streams/room/a.py": """
from streams.market.documents import JsonDocument

def named(payload: JsonDocument) -> str:
    return payload["title"]

def bare(payload: dict[str, Any]) -> str:
    return payload["title"]
""",
        }
    )
    found = untyped_reads(sources, ["streams/room"])["streams/room"]
    assert (found.signatures, found.subscripts) == (1, 1)


def _code(path: Path, text: str) -> dict[str, Callable[[], object]]:
    names: dict[str, Callable[[], object]] = {}
    exec(compile(text, str(path), "exec"), names)
    return names


def test_moves_are_entries_into_the_packages_and_calls_are_those_of_functions(tmp_path: Path) -> None:
    inside = _code(
        tmp_path / "streams" / "a.py",
        """
def inner(): return 1
def steps():
    yield inner()
    yield 2
def outer(): return sum(steps())
""",
    )
    outside = _code(tmp_path / "other" / "b.py", "def stranger(call): return call()")
    with Moves(tmp_path) as moves:
        outside["stranger"](inside["outer"])  # type: ignore[call-arg]
    # outer, steps, inner, and steps taken up again twice
    assert (moves.files, moves.moves, moves.calls) == ({"streams/a.py"}, 5, 3)


def test_moves_are_counted_from_the_last_beginning_to_the_end(tmp_path: Path) -> None:
    code = _code(tmp_path / "app" / "a.py", "def before(): ...\ndef decide(): ...\ndef act(): ...\n")
    moves = Moves(tmp_path)
    moves.begin_at(code["decide"])
    with moves:
        for name in ("before", "decide", "act", "decide", "act", "act"):
            code[name]()
        moves.end()
        code["act"]()
    assert [step.rpartition(":")[2] for step in moves.path] == ["decide", "act", "act"]


@pytest.mark.parametrize("crossing", [recorded_delta, kalshi_order])
def test_a_crossing_is_the_same_every_time(crossing: Callable[[Moves], None]) -> None:
    first, second = second_time(crossing), second_time(crossing)
    assert first.path == second.path
