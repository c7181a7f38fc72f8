"""Dagster's tables are found wherever the warehouse is: SQLAlchemy and libpq understand the address alike."""

import pytest
import sqlalchemy
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from orchestration.runtime.instance import dagster_url
from streams.addresses import database_parts


@pytest.mark.parametrize(
    ("dsn", "host", "port"),
    [
        ("postgresql://me:p%40ss@db.example:6543/house", "db.example", "6543"),
        ("postgresql://me:p%40ss@[::1]:6543/house", "::1", "6543"),
        ("postgresql://me:p%40ss@[::1]/house", "::1", "5432"),
        (
            "postgresql://me:p%40ss@one:1,two:2/house?target_session_attrs=read-write&connect_timeout=7",
            "one,two",
            "1,2",
        ),
        ("postgresql://me:p%40ss@[::1]:1,127.0.0.1:2/house", "::1,127.0.0.1", "1,2"),
        ("host=one,two port=7000 user=me password=p@ss dbname=house", "one,two", "7000,7000"),
        ("postgresql://me:p%40ss@%2Fvar%2Frun%2Fpg:6543/house", "/var/run/pg", "6543"),
        ("host=/var/run/pg user=me password=p@ss dbname=house", "/var/run/pg", "5432"),
    ],
)
def test_an_address_is_kept_whole(dsn: str, host: str, port: str) -> None:
    address = dagster_url(dsn)
    again = dagster_url(address)  # as it is made once more for the start, from itself
    for shown in (address, again):
        found = database_parts(shown)
        assert (found["host"], found["port"]) == (host, port)
        assert (found["user"], found["password"], found["dbname"]) == ("me", "p@ss", "house")
        url = make_url(shown)
        _, given = sqlalchemy.create_engine(url).dialect.create_connect_args(url)
        assert (given["host"], given["user"], given["password"], given["dbname"]) == (host, "me", "p@ss", "house")
        assert str(given["port"]) == port
        assert (given["connect_timeout"], given["tcp_user_timeout"]) == ("7" if "timeout" in dsn else "10", "30000")
    if "target" in dsn:
        assert given["target_session_attrs"] == "read-write"


@pytest.mark.parametrize("name", ["my books", "a%b", "über/us?x=1&y#z", "o'hara", 'say "hi"'])
def test_a_user_and_a_database_of_any_name_are_found(name: str) -> None:
    address = dagster_url(make_conninfo(host="h", user=name, password=name, dbname=name))
    for shown in (address, dagster_url(address)):
        url = make_url(shown)
        _, given = sqlalchemy.create_engine(url).dialect.create_connect_args(url)
        assert (given["user"], given["password"], given["dbname"]) == (name, name, name)
