"""Quotes, snapshots and connections say whether the books were polled over REST."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the mark, and set it on what was recorded before."""
    op.get_bind().connection.cursor().execute((_SQL / "0002_polled.sql").read_text())
