"""Accounts compared with our books: readings, breaks, what others did, and the switch of each account."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the tables."""
    op.get_bind().connection.cursor().execute((_SQL / "0015_accounts.sql").read_text())
