"""Decisions on market groups of every kind, in place of those on pairs."""

from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0019"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Rename the table, bind each decision to all texts and dates, and state what every group is now."""
    op.get_bind().connection.cursor().execute((_SQL / "0020_group_decisions.sql").read_text())
