"""The order groups of an account at its venue."""

from pathlib import Path

from alembic import op

revision = "0022"
down_revision = "0021"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Make the table; the groups themselves are made when accounts are prepared."""
    op.get_bind().connection.cursor().execute((_SQL / "0022_order_groups.sql").read_text())
