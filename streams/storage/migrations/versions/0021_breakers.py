"""Circuit breakers: faults of orders, and trips."""

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the column and the table."""
    op.get_bind().connection.cursor().execute((_SQL / "0021_breakers.sql").read_text())
