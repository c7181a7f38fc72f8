"""The logins of the database: who logs in as what, and where each one's address is set."""

from __future__ import annotations

from enum import StrEnum


class Login(StrEnum):
    """One login per kind of work. Its rights are those of its group role; `OWNER` owns everything and has none.

    Attributes:
        OWNER: Migrations, and the start that hands out rights.
        DAGSTER: Dagster's own tables, and nothing else.
        BATCH: Discovery, matching, judging, checks and upkeep.
        DBT: The models of the warehouse; owns the schemas `analytics*`.
        RECORDER: What is received, the leases of shards, signals.
        TRADING: Executions, orders, fills, the ledger, leases of markets.
        INTERFACE: Dashboard, API, command line and supervisor: reads, and writes what people decide.
        READER: People who ask SQL; it changes nothing.
    """

    OWNER = "owner"
    DAGSTER = "dagster"
    BATCH = "batch"
    DBT = "dbt"
    RECORDER = "recorder"
    TRADING = "trading"
    INTERFACE = "interface"
    READER = "reader"

    @property
    def role(self) -> str:
        """The group role that holds the rights; the owner has no group."""
        return f"crossbook_{self}"

    @property
    def field(self) -> str:
        """The field of the settings that holds its address on a server of one's own."""
        return "database_url" if self is Login.OWNER else f"database_url_{self}"

    @property
    def owns_objects(self) -> bool:
        """Whether it creates tables: what it makes then belongs to its group."""
        return self in (Login.DAGSTER, Login.DBT)


GROUPS = tuple(login for login in Login if login is not Login.OWNER)
"""The logins that have a group role."""
