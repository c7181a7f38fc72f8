"""Locks are rows, a kill waits for nobody, and a full queue of notifications fails no write."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Drop the lock that a switch waited for, and replace what took advisory locks or notified at any price."""
    op.get_bind().connection.cursor().execute((_SQL / "0005_locks.sql").read_text())
